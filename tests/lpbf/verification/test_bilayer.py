"""Curvature of a strip of two layers, one of which contracts (Timoshenko 1925)."""

import numpy as np
import pytest
import torch

from lpbf import HexMesh
from lpbf.mechanics.equilibrium import Equilibrium

LENGTH, STRAIN = 16.0, -0.002


def timoshenko(film, base, strain):
    """Curvature for equal moduli; Stoney's 6 strain film / base^2 for a thin film."""
    m, thickness = film / base, film + base
    first = 3 * (1 + m) ** 2 + (1 + m) * (m**2 + 1 / m)
    return 6 * strain * (1 + m) ** 2 / (thickness * first)


def test_thin_films_tend_to_stoney():
    assert timoshenko(1e-4, 1.0, STRAIN) == pytest.approx(6 * STRAIN * 1e-4, rel=1e-3)


@pytest.mark.parametrize("strain", [(0, 0, STRAIN), (STRAIN, STRAIN, STRAIN)])
@pytest.mark.parametrize("elements", [(1, 1), (1, 3)], ids=["equal", "thin"])
def test_curvature(finished, elements, strain):
    """An upright strip; only its first elements through the thickness strain."""
    film, base = elements
    thickness = 1.0
    size = thickness / (film + base)
    mesh = HexMesh.from_mask(np.ones((film + base, 1, 24)), (size, 0.5, LENGTH / 24))
    part = finished(mesh, tolerance=1e-9)
    eigenstrain = np.zeros((mesh.num_cells, 6))
    eigenstrain[mesh.cell_index[:, 0] < film, :3] = strain
    u = part.solve(part.load_of(eigenstrain))

    z = mesh.points[:, 2]
    free = z > 2 * thickness  # from the clamp
    curvature = 2 * np.polyfit(z[free], u[free, 0], 2)[0]
    # The shorter side is at low x, so the strip bends to low x.
    expected = timoshenko(film * size, base * size, STRAIN)
    assert curvature == pytest.approx(expected, rel=0.05)


def test_a_free_plate_bends_to_a_bowl(finished):
    """An unclamped plate with a film on its top that contracts in both directions."""
    mesh = HexMesh.from_mask(np.ones((16, 16, 4)), (1.0, 1.0, 0.25))
    part = finished(mesh, layer_height=1.0)
    eigenstrain = np.zeros((mesh.num_cells, 6))
    eigenstrain[mesh.cell_index[:, 2] == 3, :2] = STRAIN
    equilibrium = Equilibrium(part.build, clamped=False, tolerance=1e-9)
    equilibrium.activate_layer(0)
    u = equilibrium.solve(torch.from_numpy(part.load_of(eigenstrain))).u.numpy()

    x, y = (mesh.points[:, :2] - 8.0).T
    inside = (np.abs(x) < 5) & (np.abs(y) < 5)
    terms = np.stack([x**2, y**2, x * y, x, y, np.ones_like(x)], axis=1)
    xx, yy, xy = np.linalg.lstsq(terms[inside], u[inside, 2], rcond=None)[0][:3]
    expected = -timoshenko(0.25, 0.75, STRAIN)
    assert 2 * xx == pytest.approx(expected, rel=0.05)
    assert 2 * yy == pytest.approx(expected, rel=0.05)
    assert abs(xy) < 0.01 * abs(expected)
