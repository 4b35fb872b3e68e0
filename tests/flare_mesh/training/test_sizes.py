import pytest

from flare_mesh.models import build, model_options
from flare_mesh.training.sizes import (
    SIZES,
    choose_batch,
    choose_sample,
    choose_size,
    size_options,
)


def test_sizes_are_options_of_the_model_and_rise():
    counts = []
    for name in SIZES:
        options = size_options("flare", name)
        assert options.keys() <= model_options("flare").keys()
        model = build("flare", in_channels=1, out_channels=1, **options)
        counts.append(sum(p.numel() for p in model.parameters()))
    assert counts == sorted(counts)
    assert size_options("gnot", None) == {}


def test_an_unknown_size_is_refused():
    with pytest.raises(ValueError, match=r"model.size: unknown size 'smal'.*small"):
        size_options("flare", "smal")
    with pytest.raises(ValueError, match=r"model.size: .* 'flare' \(got 'gnot'\)"):
        size_options("gnot", "small")


@pytest.mark.parametrize(
    ("sizes", "sample", "batch"),
    [
        ([495, 1000, 3400] * 16, 256, 8),  # brackets
        ([1089] * 100, 256, 8),
        ([3000] * 12, 256, 3),
        ([100, 200], None, 1),
        ([384] * 800, None, 8),
    ],
)
def test_nodes_and_cases_a_step(sizes, sample, batch):
    assert choose_sample(sizes) == sample
    assert choose_batch(sizes, sample) == batch


def test_an_input_field_is_drawn_as_a_whole_or_at_many_nodes():
    assert choose_sample([1089] * 100, has_fields=True) is None  # Darcy on 33 x 33 nodes
    assert choose_sample([2048, 2049], has_fields=True) == 2048


def test_whole_large_cases_make_small_batches():
    assert choose_batch([8000] * 100, None) == 2
    assert choose_batch([100000] * 100, None) == 1


@pytest.mark.parametrize(
    ("step", "chosen"),
    [
        ({"small": 0.01, "medium": 0.05, "large": 0.15}, "large"),
        ({"small": 0.01, "medium": 0.05, "large": 0.1501}, "medium"),
        ({"small": 0.01, "medium": 0.2}, "small"),  # without a measurement of the large one
        ({"small": 5.0, "medium": 9.0}, "small"),
    ],
)
def test_the_largest_size_with_enough_steps(step, chosen):
    assert choose_size(300, step.__getitem__) == (chosen, step[chosen])
