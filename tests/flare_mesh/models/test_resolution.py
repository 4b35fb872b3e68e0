"""With weights the operator converges under refinement; without, it depends on mesh density."""

import pytest
import torch

from flare_mesh import FLAREOperator

PROBES = torch.rand(20, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def operator(**options):
    torch.manual_seed(0)
    sizes = {"hidden_channels": 16, "num_layers": 2, "heads": 4, "num_latents": 6}
    model = FLAREOperator(0, 1, pos_dim=2, **sizes, **options).double()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def cells(n, grading):
    """Midpoints and areas of n x n cells of the unit square, denser to the left if graded."""
    edges = torch.linspace(0, 1, n + 1, dtype=torch.float64)
    columns, rows = edges**grading, edges
    middle = [(e[1:] + e[:-1]) / 2 for e in (columns, rows)]
    size = [e.diff() for e in (columns, rows)]
    pos = torch.cartesian_prod(*middle)
    return pos, torch.cartesian_prod(*size).prod(dim=1)


@torch.no_grad()
def at_probes(model, n, grading, weighted):
    pos, area = cells(n, grading)
    latents = model.encode(None, pos, weight=area if weighted else None)
    return model.decode(latents, None, PROBES)


@pytest.mark.parametrize(
    "options", [{}, {"queries": "synthesized"}, {"decode": "encoded"}], ids=str
)
def test_meshes_of_one_domain_agree_with_weights_only(options):
    model = operator(**options)
    differences = {
        weighted: [
            float((at_probes(model, n, 1, weighted) - at_probes(model, n, 2, weighted)).abs().max())
            for n in (8, 16, 32)
        ]
        for weighted in (True, False)
    }
    coarse, middle, fine = differences[True]
    # The midpoint rule: second order.
    assert coarse / middle > 3
    assert middle / fine > 3
    assert differences[False][2] > 0.5 * differences[False][0] > 5 * coarse


def test_refinement_converges_with_weights():
    model = operator()
    finest = at_probes(model, 128, 2, True)
    errors = [float((at_probes(model, n, 2, True) - finest).abs().max()) for n in (8, 16, 32)]
    assert errors[0] / errors[1] > 3
    assert errors[1] / errors[2] > 3


def test_local_refinement_shifts_only_the_unweighted():
    # The left half of the square in cells of half the size: the same field, four times the nodes.
    model = operator()
    pos, area = cells(16, 1)
    fine, small = cells(32, 1)
    left, right = fine[:, 0] < 0.5, pos[:, 0] > 0.5
    mixed = torch.cat([fine[left], pos[right]])
    mixed_area = torch.cat([small[left], area[right]])
    torch.testing.assert_close(mixed_area.sum(), torch.ones((), dtype=torch.float64))

    def shift(*weights):
        fields = [
            model.decode(model.encode(None, p, weight=w), None, PROBES)
            for p, w in zip((pos, mixed), weights, strict=True)
        ]
        return float((fields[0] - fields[1]).detach().abs().max())

    assert shift(area, mixed_area) < 0.1 * shift(None, None)
