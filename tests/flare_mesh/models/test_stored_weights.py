import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from flare_mesh.models import MODELS, build, load, model_options
from flare_mesh.models.stored_weights import check_finite_weights, check_needed_weights

TINY = {"hidden_channels": 8, "num_layers": 1, "heads": 1, "num_latents": 3, "num_slices": 3}


def test_finite_weights():
    weights = {"a": torch.zeros(3), "b": torch.zeros(2, 2), "n": torch.ones(3, dtype=torch.int64)}
    check_finite_weights(weights)
    for value in (float("nan"), float("inf")):
        weights["b"][0, 1] = value
        with pytest.raises(ValueError, match=r"not finite \(1 of 4 in 'b' are NaN or infinite\)"):
            check_finite_weights(weights)


@pytest.mark.parametrize("name", list(MODELS))
def test_options_that_need_more_memory_than_the_file_has(tmp_path, name):
    """None of them may be built: each would take terabytes or years."""
    known = model_options(name)
    options = {key: size for key, size in TINY.items() if key in known}
    build(name, in_channels=1, out_channels=1, **options).save(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert type(load(tmp_path)) is MODELS[name]
    for key, value in (("num_layers", 10**9), ("hidden_channels", 10**6), ("hidden_channels", 64)):
        (tmp_path / "config.json").write_text(json.dumps({**config, key: value}))
        message = rf"{key}={value:,} needs more weights|its options need [\d,]+ weights, and the"
        with pytest.raises(ValueError, match=message):
            load(tmp_path)


@pytest.mark.parametrize("text", ["[" * 10_000, '{"model": "flare", "scale": 1e400}', '"flare"'])
def test_configurations_that_are_none(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match="does not describe a model"):
        load(tmp_path)
    with pytest.raises(ValueError, match="cannot be loaded as FLAREOperator: .*damaged"):
        MODELS["flare"].load(tmp_path)


def test_options_beyond_the_largest_number():
    options = {key: size for key, size in TINY.items() if key != "num_slices"}
    with pytest.raises(ValueError, match="a number in its options is too large"):
        check_needed_weights(
            {},
            {},
            lambda: build("flare", in_channels=1, out_channels=1, ffn_ratio=-1e308, **options),
        )


def test_a_model_whose_training_diverged(tmp_path):
    options = {key: size for key, size in TINY.items() if key != "num_slices"}
    build("flare", in_channels=1, out_channels=1, **options).save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    next(iter(weights.values()))[0] = float("nan")
    save_file(weights, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match="cannot be loaded .* weights are not finite"):
        load(tmp_path)


def test_nested_options():
    weights = {"a": torch.zeros(100)}
    for options in ({"kv_layers": [1, 10**9]}, {"latent_blocks": 10**9}):
        with pytest.raises(ValueError, match="=1,000,000,000 needs more weights"):
            check_needed_weights(weights, options, torch.nn.ReLU)
    with pytest.raises(ValueError, match="num_frequencies=1,000 needs more"):
        check_needed_weights(weights, {"encoder_options": {"num_frequencies": 1000}}, torch.nn.ReLU)
    check_needed_weights(weights, {"encoder_options": {"num_frequencies": 32}}, torch.nn.ReLU)
