"""Cuts of a part on an elastic plate, which relaxes with it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.sparse.linalg import spsolve

from lpbf import BasePlate, HexMesh, Material, Process, Supports, simulate
from lpbf.core.element import brick

STEEL = Material("steel", 200_000.0, 0.3, yield_stress=1e6)
SPACING = (1.0, 1.2, 0.5)
PLATE = BasePlate(thickness=1.0, margin=1.0, youngs_modulus=70_000.0)
LEG = {"box": [[-1, -1, -1], [2, 9, 0]]}  # the first leg, at the plate
STUMP = {"box": [[4, -1, 0.5], [6, 9, 1.0]]}  # a row of voxels of the second one
PROCESS = Process(
    STEEL,
    layer_height=1.0,
    inherent_strain=(-0.004, -0.001, -0.002),
    scan_rotation=67.0,
    base_plate=PLATE,
)


def bridge():
    mask = np.ones((9, 2, 4), dtype=bool)
    mask[[2, 3, 6], :, :2] = False
    return HexMesh.from_mask(mask, SPACING)


class DirectSolver:
    """Build and cuts with assembled matrices and SuperLU; two rows of plate, one voxel around."""

    def __init__(self, part, process, assemble):
        mask = np.pad(part.mask, ((1, 1), (1, 1), (2, 0)))
        mask[:, :, :2] = True
        self.mesh = HexMesh.from_mask(mask, SPACING, (-1.0, -1.2, -1.0))
        self.place, self.assemble = self.mesh.cell_index - [1, 1, 2], assemble
        self.is_part = self.place[:, 2] >= 0
        self.factor = np.where(self.is_part, 1.0, 70_000 / 200_000)
        self.element = brick(SPACING, STEEL.elasticity)
        self.local = np.zeros((self.mesh.num_cells, 24))
        self.strain = np.zeros((self.mesh.num_cells, 6))
        self.total = np.zeros((self.mesh.num_nodes, 3))
        layer = np.maximum(self.place[:, 2], 0) // 2
        for n in range(layer.max() + 1):
            self.strain[self.is_part & (layer == n)] = process.layer_strain(n)
            self.solve(layer <= n)

    def solve(self, left):
        cells, factor = self.mesh.cells[left], self.factor[left]
        dofs = (3 * cells[:, :, None] + np.arange(3)).reshape(-1, 24)
        step, residual = np.zeros((2, 3 * self.mesh.num_nodes))
        force = self.strain[left] @ self.element.load.T - self.local[left] @ self.element.stiffness
        np.add.at(residual, dofs, factor[:, None] * force)
        free = np.zeros(len(residual), dtype=bool)
        free[dofs] = True
        free &= ~np.repeat(self.mesh.points[:, 2] == -1.0, 3)
        matrix = self.assemble(cells, self.element.stiffness, self.mesh.num_nodes, factor)
        step[free] = spsolve(matrix[free][:, free].tocsc(), residual[free])
        self.total += step.reshape(-1, 3)
        self.local[left] += step[dofs]

    def of_part(self):
        return self.total[np.unique(self.mesh.cells[self.is_part])]


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-8 * np.abs(expected).max())


def test_cuts_agree_with_a_direct_solution(assembled):
    mesh = bridge()
    result = simulate(mesh, replace(PROCESS, release=[LEG, STUMP]), tolerance=1e-11)
    direct = DirectSolver(mesh, PROCESS, assembled)
    assert result.displacement_on_plate is not None
    close(result.displacement_on_plate, direct.of_part())

    i, _, k = direct.place.T
    # The first leg has the voxels 0 and 1; the kerf in the plate is a voxel wider all around.
    left = ~((k == -1) & (i <= 2))
    direct.solve(left)
    close(result.release[0].displacement, direct.of_part())
    held = result.release[0].on_plate
    assert np.abs(result.displacement[held]).max() > 1e-5  # the plate moves

    left &= ~((k == 1) & (i >= 4) & (i <= 5))
    direct.solve(left)
    close(result.displacement, direct.of_part())
    removed = (mesh.cell_index[:, 2] == 1) & np.isin(mesh.cell_index[:, 0], [4, 5])
    np.testing.assert_array_equal(result.removed, removed)


def test_a_stiff_plate_is_a_clamped_bottom():
    cuts = {"release": [LEG, STUMP]}
    rigid = replace(PROCESS, **cuts, base_plate=replace(PLATE, youngs_modulus=1e7))
    stiff = replace(STEEL, youngs_modulus=1.0)
    found = simulate(bridge(), replace(rigid, material=stiff), tolerance=1e-9)
    clamped = replace(rigid, material=stiff, base_plate=None)
    expected = simulate(bridge(), clamped, tolerance=1e-9).displacement
    np.testing.assert_allclose(
        found.displacement, expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )


@pytest.mark.parametrize("plasticity", [False, True])
def test_a_part_that_is_cut_off_in_two_steps(plasticity):
    material = replace(STEEL, yield_stress=1e5 if not plasticity else 600.0)
    process = replace(PROCESS, material=material, plasticity=plasticity, plastic_increments=1)
    whole = simulate(bridge(), replace(process, release=True))
    steps = simulate(bridge(), replace(process, release=[LEG, {"below": 0}]))
    assert not steps.release[1].on_plate.any()
    largest = np.abs(whole.displacement).max()
    # An elastic part ends in the same shape, a plastic one nearly.
    limit = 0.02 if plasticity else 1e-6
    np.testing.assert_allclose(steps.displacement, whole.displacement, rtol=0, atol=limit * largest)


def test_supports_first():
    mask = np.zeros((6, 2, 6), dtype=bool)
    mask[:2] = True
    mask[:, :, 4:] = True
    mesh = HexMesh.from_mask(mask, SPACING)
    orders = [
        simulate(mesh, replace(PROCESS, supports=Supports(order=order), release=True))
        for order in ("plate first", "supports first")
    ]
    one, other = (result.displacement for result in orders)
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5 * np.abs(one).max())
