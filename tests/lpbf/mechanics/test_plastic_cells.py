import numpy as np
import pytest
import torch

from lpbf.core.element import brick, isotropic_elasticity
from lpbf.core.wall_grid import wall_grid_elasticity
from lpbf.mechanics import plastic_cells, plastic_tangent
from lpbf.mechanics.isotropic_mapping import IsotropicMapping
from lpbf.mechanics.plastic_cells import Increment, PlasticCells
from lpbf.mechanics.plastic_element import PlasticElement
from lpbf.mechanics.plastic_hardening import Hardening
from lpbf.mechanics.plastic_tangent import PlasticTangent


def support_element(spacing):
    walls = wall_grid_elasticity(200_000.0, 0.3, 0.2) / 0.2
    mapping = IsotropicMapping.between(isotropic_elasticity(200_000.0, 0.3), walls)
    return PlasticElement(brick(spacing, walls), mapping=mapping)


@pytest.fixture(params=["solid", "supports"])
def evaluate(table, request):
    """Forces, state and tangent product of cells, of which some yield."""
    material, hardening = isotropic_elasticity(200_000.0, 0.3), Hardening(1000.0)
    element = PlasticElement(brick(table.spacing, material))
    count, size = table.num_cells, table.num_nodes
    supports = {}
    if request.param == "supports":
        supports["support"] = support_element(table.spacing)
        supports["is_support"] = torch.arange(count) % 3 == 1
    generator = torch.Generator().manual_seed(0)
    du, u = torch.randn(2, size, 3, generator=generator, dtype=torch.float64)

    def run():
        factor = torch.linspace(0.5, 1, count, dtype=torch.float64)
        cells = PlasticCells(element, factor, count, **supports)
        increment = Increment(
            nodes=torch.from_numpy(table.cells),
            eigenstrain=torch.zeros(count, 6, dtype=torch.float64),
            yield_stress=torch.linspace(200, 1000, count, dtype=torch.float64),
            hardening=hardening,
            factor=factor,
            modes=torch.zeros(element.num_modes, count, dtype=torch.float64),
        )
        force, yielded = cells.force(increment, 1e-3 * du)
        assert 0 < sum(len(chunk.cells) for chunk in yielded) < count
        cells.commit(increment, 1e-3 * du)
        whole = cells.internal_force(increment.nodes, slice(0, count), size)
        np.testing.assert_allclose(whole, force, atol=1e-6 * float(force.abs().max()))
        tangent = PlasticTangent(increment.nodes, yielded, 0.1)
        return force, cells.stress, cells.plastic_strain, tangent(u)

    return run


def test_results_do_not_depend_on_chunks_and_threads(evaluate, threads, monkeypatch):
    threads(1)
    expected = evaluate()
    monkeypatch.setattr(plastic_cells, "_CHUNK", 7)
    monkeypatch.setattr(plastic_tangent, "_CHUNK", 5)
    one = evaluate()
    threads(2)
    two = evaluate()
    for whole, alone, together in zip(expected, one, two, strict=True):
        assert torch.equal(alone, together)
        torch.testing.assert_close(alone, whole, rtol=0, atol=1e-9 * float(whole.abs().max()))


def test_tangent_of_supports_is_the_derivative_of_their_forces():
    spacing, hardening = (1.0, 1.3, 0.7), Hardening(1000.0)
    support = support_element(spacing)
    element = PlasticElement(brick(spacing, isotropic_elasticity(2e5, 0.3)))
    factor = torch.full((1,), 0.2, dtype=torch.float64)
    cells = PlasticCells(element, factor, 1, support=support, is_support=torch.tensor([True]))
    generator = torch.Generator().manual_seed(1)
    options = {"generator": generator, "dtype": torch.float64}
    du, change = 5e-3 * torch.randn(8, 3, **options), torch.randn(8, 3, **options)
    eigenstrain = 1e-3 * torch.randn(1, 6, **options)

    def force(du):
        nodes, strength = torch.arange(8)[None], torch.full((1,), 300.0, dtype=torch.float64)
        modes = torch.zeros(9, 1, dtype=torch.float64)
        return cells.force(Increment(nodes, eigenstrain, strength, hardening, factor, modes), du)

    _, yielded = force(du)
    walls = brick(spacing, wall_grid_elasticity(2e5, 0.3, 0.2))
    elastic = torch.from_numpy(walls.stiffness) @ change.flatten()
    tangent = PlasticTangent(torch.arange(8)[None], yielded, 0.0, factor)
    found = elastic.view(8, 3) + tangent(change)
    step = 1e-7
    expected = (force(du + step * change)[0] - force(du - step * change)[0]) / (2 * step)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * float(elastic.abs().max()))
    # In the elastic range the forces are those of the brick.
    small = 1e-6 * change
    eigenstrain = torch.zeros(1, 6, dtype=torch.float64)
    elastic = torch.from_numpy(walls.stiffness) @ small.flatten()
    torch.testing.assert_close(force(small)[0].flatten(), elastic, rtol=1e-9, atol=1e-12)
