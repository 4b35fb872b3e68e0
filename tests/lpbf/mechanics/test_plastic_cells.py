import numpy as np
import pytest
import torch

from lpbf.core.element import brick, isotropic_elasticity
from lpbf.mechanics import plastic_cells, plastic_tangent
from lpbf.mechanics.plastic_cells import Increment, PlasticCells
from lpbf.mechanics.plastic_element import PlasticElement
from lpbf.mechanics.plastic_hardening import Hardening
from lpbf.mechanics.plastic_tangent import PlasticTangent


@pytest.fixture
def evaluate(table):
    """Forces, state and tangent product of cells, of which some yield."""
    material = isotropic_elasticity(200_000.0, 0.3)
    element = PlasticElement(brick(table.spacing, material), Hardening(1000.0))
    count, size = table.num_cells, table.num_nodes
    generator = torch.Generator().manual_seed(0)
    du, u = torch.randn(2, size, 3, generator=generator, dtype=torch.float64)

    def run():
        cells = PlasticCells(element, torch.linspace(0.5, 1, count, dtype=torch.float64), count)
        increment = Increment(
            nodes=torch.from_numpy(table.cells),
            eigenstrain=torch.zeros(count, 6, dtype=torch.float64),
            yield_stress=torch.linspace(200, 1000, count, dtype=torch.float64),
            modes=torch.zeros(element.num_modes, count, dtype=torch.float64),
        )
        force, yielded = cells.force(increment, 1e-3 * du)
        assert 0 < sum(len(chunk.cells) for chunk in yielded) < count
        cells.commit(increment, 1e-3 * du)
        whole = cells.internal_force(increment.nodes, slice(0, count), size)
        np.testing.assert_allclose(whole, force, atol=1e-6 * float(force.abs().max()))
        tangent = PlasticTangent(element, increment.nodes, yielded, 0.1)
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
