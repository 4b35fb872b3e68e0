"""Slice models on regular grids, with convolutions."""

import pytest
import torch

from flare_mesh.models import build, load

SHAPE, NODES = [4, 3], 12
SIZES = {"hidden_channels": 12, "num_layers": 2, "heads": 3, "num_slices": 5, "pos_dim": 2}
VARIANTS = {
    "transolver": ("transolver", {}),
    "lamo": ("lamo", {"state_size": 2}),
    "lamo unshared": ("lamo", {"state_size": 2, "shared_slices": False}),
}
variants = pytest.mark.parametrize(("name", "options"), VARIANTS.values(), ids=VARIANTS)


def scattered(name, **options):
    """A model in float64 with parameters that all differ."""
    torch.manual_seed(0)
    model = build(name, in_channels=1, out_channels=2, **SIZES, **options).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.2 * torch.rand_like(parameter)
    return model


def draw(grids=1):
    generator = torch.Generator().manual_seed(1)
    numbers = torch.rand(grids * NODES, 3, generator=generator, dtype=torch.float64)
    return numbers[:, :1], numbers[:, 1:]


@variants
def test_without_neighbours_it_is_the_model_for_meshes(name, options):
    mesh, grid = scattered(name, **options), scattered(name, grid_shape=SHAPE, **options)
    weights = mesh.state_dict()
    with torch.no_grad():
        for key, parameter in grid.named_parameters():
            if key.endswith("convolution.weight") and parameter.dim() == 4:
                parameter.zero_()
                parameter[..., 1, 1] = weights[key.replace(".convolution", "")]
            else:
                parameter.copy_(weights[key.replace("project.convolution", "project").replace(
                    "project_value.convolution", "project_value")])  # fmt: skip
    x, pos = draw()
    torch.testing.assert_close(grid(x, pos), mesh(x, pos))


@variants
def test_grids_of_a_batch_are_independent(name, options):
    model = scattered(name, grid_shape=SHAPE, **options)
    x, pos = draw(3)
    together = model(x, pos, ptr=torch.tensor([0, 0, NODES, 2 * NODES, 3 * NODES, 3 * NODES]))
    alone = [model(*graph) for graph in zip(x.split(NODES), pos.split(NODES), strict=True)]
    torch.testing.assert_close(together, torch.cat(alone))
    assert model(x[:0], pos[:0]).shape == (0, 2)
    together.square().sum().backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad is not None, key
        assert float(parameter.grad.abs().max()) > 0, key
    other_rows = x.view(3, *SHAPE, 1).flip(1).reshape(-1, 1)
    assert not torch.allclose(model(other_rows, pos, ptr=torch.arange(4) * NODES), together)


def test_distances_to_reference_points_are_the_coordinates():
    unified = scattered("transolver", grid_shape=SHAPE, reference_points=2)
    sizes = {**SIZES, "pos_dim": 4}
    plain = build("transolver", in_channels=1, out_channels=2, grid_shape=SHAPE, **sizes).double()
    plain.load_state_dict(unified.state_dict())
    x, pos = draw(2)
    ptr = torch.tensor([0, NODES, 2 * NODES])
    distances = torch.tensor(
        [
            [((i / 3 - a) ** 2 + (j / 2 - b) ** 2) ** 0.5 for a in (0, 1) for b in (0, 1)]
            for i in range(4)
            for j in range(3)
        ],
        dtype=torch.float64,
    )
    want = plain(x, distances.repeat(2, 1), ptr=ptr)
    torch.testing.assert_close(unified(x, pos, ptr=ptr), want)


@variants
def test_temperatures_stay_positive(name, options):
    model = scattered(name, grid_shape=SHAPE, **options)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if key.endswith("temperature"):
                parameter.zero_()
    assert bool(model(*draw()).isfinite().all())


@variants
def test_save_and_load(name, options, tmp_path):
    model = scattered(name, grid_shape=tuple(SHAPE), **options).float()
    model.save(tmp_path)
    again = load(tmp_path)
    assert again.config == model.config
    x, pos = (t.float() for t in draw())
    assert torch.equal(again(x, pos), model(x, pos))


@variants
def test_point_clouds_are_refused(name, options):
    model = scattered(name, grid_shape=SHAPE, **options)
    x, pos = draw()
    message = (
        r"expected grids of 4 x 3 = 12 nodes, as 'grid_shape' says \(got a graph of 11 nodes\); "
        r"point clouds and meshes need a model without 'grid_shape'"
    )
    with pytest.raises(ValueError, match=message):
        model(x[1:], pos[1:])


def test_impossible_options_are_refused():
    for options, match in (
        ({"grid_shape": [4, 0]}, "Transolver: expected 'grid_shape' to be the numbers of nodes"),
        ({"reference_points": 8}, "Transolver: 'reference_points' are for regular grids; give"),
        ({"grid_shape": [4], "reference_points": 0}, "'reference_points' >= 1"),
    ):
        with pytest.raises(ValueError, match=match):
            build("transolver", in_channels=0, out_channels=1, **options)
