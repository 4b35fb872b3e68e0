"""Builds with supports against independently assembled steps, and their symmetry."""

import numpy as np
import pytest

from lpbf import HexMesh, Material, Process, Supports, add_supports, simulate
from lpbf.core.element import brick, isotropic_elasticity
from lpbf.core.wall_grid import wall_grid_elasticity

STEEL = Material("steel", 200_000.0, 0.3, yield_stress=300.0, hardening_modulus=2000.0)
SPACING = (1.0, 1.2, 0.8)
STRAIN = (-0.004, -0.002, -0.003)


def table(mirrored=False):
    """A post with a flat overhang on one side."""
    mask = np.zeros((6, 3, 5), dtype=bool)
    mask[:2] = True
    mask[:, :, 3:] = True
    mask[5, 2, 3:] = False
    return HexMesh.from_mask(mask[::-1] if mirrored else mask, SPACING)


def reference(mesh, supports, fraction, release):
    """Dense solutions of the steps: the part's displacement on the plate and after the release."""
    whole = HexMesh.from_mask(mesh.mask | supports, SPACING)
    is_support = supports[tuple(whole.cell_index.T)]
    solid = brick(SPACING, isotropic_elasticity(200_000.0, 0.3))
    walls = brick(SPACING, wall_grid_elasticity(200_000.0, 0.3, fraction))
    dofs = (3 * whole.cells[:, :, None] + np.arange(3)).reshape(-1, 24)
    layer, size = whole.cell_index[:, 2], 3 * whole.num_nodes
    total, born = np.zeros(size), np.full(size, 99)
    np.minimum.at(born, dofs.ravel(), np.repeat(layer, 24))
    strain = np.array([*STRAIN, 0, 0, 0])
    local = np.zeros((whole.num_cells, 24))
    for n in range(layer.max() + 1):
        stiffness, force = np.zeros((size, size)), np.zeros(size)
        for cell in np.flatnonzero(layer <= n):
            one = walls if is_support[cell] else solid
            stiffness[np.ix_(dofs[cell], dofs[cell])] += one.stiffness
            if layer[cell] == n:
                force[dofs[cell]] += one.load @ strain
        free = (born <= n) & (np.repeat(whole.points[:, 2], 3) > 0)
        step = np.zeros(size)
        step[free] = np.linalg.solve(stiffness[np.ix_(free, free)], force[free])
        total += step
        local[layer <= n] += step[dofs[layer <= n]]
    nodes = np.unique(whole.cells[~is_support])
    on_plate = total.reshape(-1, 3)[nodes]
    if not release:
        return on_plate
    dofs = (3 * mesh.cells[:, :, None] + np.arange(3)).reshape(-1, 24)
    stiffness, force = np.zeros((3 * mesh.num_nodes,) * 2), np.zeros(3 * mesh.num_nodes)
    for own, u in zip(dofs, local[~is_support], strict=True):
        stiffness[np.ix_(own, own)] += solid.stiffness
        force[own] += solid.load @ strain - solid.stiffness @ u
    u = on_plate + (np.linalg.pinv(stiffness, rcond=1e-10) @ force).reshape(-1, 3)
    x, y, z = (mesh.points - mesh.points.mean(axis=0)).T
    zero, one = np.zeros_like(x), np.ones_like(x)
    modes = [[one, zero, zero], [zero, one, zero], [zero, zero, one]]
    modes += [[-y, x, zero], [zero, -z, y], [z, zero, -x]]
    modes = np.array(modes).transpose(2, 1, 0).reshape(-1, 6)
    fit = np.linalg.lstsq(modes, u.ravel(), rcond=None)[0]
    return u - (modes @ fit).reshape(-1, 3)


@pytest.mark.parametrize("release", [False, True])
def test_build_against_assembled_steps(release):
    mesh = table()
    process = Process(material=STEEL, inherent_strain=STRAIN, supports=True, release=release)
    result = simulate(mesh, process, tolerance=1e-11)
    supports = result.mesh.supports
    assert supports is not None
    np.testing.assert_array_equal(supports, add_supports(mesh, Supports()).supports)
    assert supports.sum() == 3 * 3 * 3 - 3
    expected = reference(mesh, supports, 0.2, release)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(result.displacement, expected, atol=1e-8 * scale)
    # Supports carry the overhang.
    without = simulate(mesh, Process(material=STEEL, inherent_strain=STRAIN, release=release))
    assert without.mesh.supports is None
    assert np.abs(result.displacement - without.displacement).max() > 0.05 * scale


def test_plastic_build_without_yielding_is_the_elastic_one():
    process = Process(material=STEEL, inherent_strain=(-1e-5,) * 3, supports=True, release=True)
    elastic = simulate(table(), process, tolerance=1e-10)
    plastic = Process(**{**vars(process), "plasticity": True})
    result = simulate(table(), plastic, tolerance=1e-10)
    assert result.equivalent_plastic_strain is not None
    assert (result.equivalent_plastic_strain == 0).all()
    atol = 1e-5 * np.abs(elastic.displacement).max()
    np.testing.assert_allclose(result.displacement, elastic.displacement, atol=atol)


@pytest.mark.parametrize("plasticity", [False, True])
def test_mirrored_part(plasticity):
    process = Process(
        material=STEEL, supports=Supports(angle=40.0), plasticity=plasticity, plastic_increments=1,
        release=True,
    )  # fmt: skip
    one, other = (simulate(table(side), process, tolerance=1e-11) for side in (False, True))
    order = np.lexsort((-one.points[:, 0], one.points[:, 1], one.points[:, 2]))
    scale = np.abs(one.displacement).max()
    mirrored = one.displacement[order] * [-1, 1, 1]
    atol = (1e-5 if plasticity else 1e-8) * scale
    np.testing.assert_allclose(other.displacement, mirrored, atol=atol)
