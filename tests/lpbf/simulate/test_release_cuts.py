"""Releases in several cuts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import pyvista
from scipy.sparse.linalg import spsolve

from lpbf import HexMesh, Material, Process, simulate
from lpbf.core.element import brick
from lpbf.core.islands import find_unsupported
from lpbf.simulate.__main__ import main
from lpbf.simulate.summary import summarize

STEEL = Material("steel", 200_000.0, 0.3, yield_stress=1e6)
SPACING = (1.0, 1.2, 0.5)
PROCESS = Process(
    STEEL, layer_height=1.0, inherent_strain=(-0.004, -0.001, -0.002), scan_rotation=67.0
)


def bridge():
    """Three legs under a beam with a hole."""
    mask = np.ones((9, 3, 6), dtype=bool)
    mask[[2, 3, 6], :, :4] = False
    mask[4, 1, 5] = False
    return HexMesh.from_mask(mask, SPACING)


LEG = {"box": [[-1, -1, -1], [2, 9, 0]]}  # the first leg, at the plate
KERF = {"box": [[4, -1, 0.5], [6, 9, 1.5]]}  # two rows of voxels of the second one
SLICE = {"box": [[2, -1, 2], [3, 9, 3]]}  # a column of the beam: the first leg is loose


def rigid_modes(points):
    x, y, z = (points - points.mean(axis=0)).T
    one, zero = np.ones_like(x), np.zeros_like(x)
    columns = [
        (one, zero, zero), (zero, one, zero), (zero, zero, one),
        (-y, x, zero), (zero, -z, y), (z, zero, -x),
    ]  # fmt: skip
    return np.stack([np.stack(c, axis=1).ravel() for c in columns], axis=1)


class DirectSolver:
    """The same build and cuts with assembled matrices and SuperLU."""

    def __init__(self, mesh, process, assemble):
        self.mesh, self.assemble = mesh, assemble
        self.element = brick(mesh.spacing, STEEL.elasticity)
        self.local = np.zeros((mesh.num_cells, 24))
        self.strain = np.zeros((mesh.num_cells, 6))
        self.total = np.zeros((mesh.num_nodes, 3))
        rows = round(process.layer_height / mesh.spacing[2])
        layer = mesh.cell_index[:, 2] // rows
        clamped = np.repeat(mesh.points[:, 2] == 0, 3)
        for n in range(layer.max() + 1):
            self.strain[layer == n] = process.layer_strain(n)
            self.solve(layer <= n, clamped)

    def solve(self, cells, fixed):
        """Bring the cells to equilibrium, with unknowns [3 N] that are fixed."""
        dofs = (3 * self.mesh.cells[cells][:, :, None] + np.arange(3)).reshape(-1, 24)
        load, stiffness = self.element.load, self.element.stiffness
        residual, step = np.zeros(3 * self.mesh.num_nodes), np.zeros(3 * self.mesh.num_nodes)
        np.add.at(residual, dofs, self.strain[cells] @ load.T - self.local[cells] @ stiffness)
        free = np.zeros(len(residual), dtype=bool)
        free[dofs] = True
        free &= ~fixed
        matrix = self.assemble(self.mesh.cells[cells], stiffness, self.mesh.num_nodes)
        step[free] = spsolve(matrix[free][:, free].tocsc(), residual[free])
        self.total += step.reshape(-1, 3)
        self.local[cells] += step[dofs]

    def align(self, nodes):
        modes = rigid_modes(self.mesh.points[nodes])
        u = self.total[nodes].ravel()
        self.total[nodes] = (u - modes @ np.linalg.lstsq(modes, u)[0]).reshape(-1, 3)


def bottom(mesh, low, high):
    x, _, z = mesh.points.T
    return (z == 0) & (x >= low) & (x <= high)


def close(found, expected, relative):
    np.testing.assert_allclose(found, expected, rtol=0, atol=relative * np.abs(expected).max())


def test_each_cut_agrees_with_a_direct_solution(assembled):
    mesh = bridge()
    process = replace(PROCESS, release=[LEG, KERF, {"below": 0}])
    result = simulate(mesh, process, tolerance=1e-11)
    direct = DirectSolver(mesh, process, assembled)
    assert result.displacement_on_plate is not None
    close(result.displacement_on_plate, direct.total, 1e-8)
    x, _, z = mesh.cell_index.T
    everything = np.ones(mesh.num_cells, dtype=bool)

    direct.solve(everything, np.repeat(bottom(mesh, 3, 9), 3))
    first = result.release[0]
    close(first.displacement, direct.total, 1e-8)
    assert np.abs(first.displacement - result.displacement_on_plate).max() > 1e-4
    assert not first.removed.any()
    np.testing.assert_array_equal(first.on_plate, bottom(mesh, 3, 9))

    # The stump of the second leg stays on the plate.
    kerf = (x >= 4) & (x <= 5) & (z >= 1) & (z <= 2)
    direct.solve(~kerf, np.repeat(bottom(mesh, 3, 9), 3))
    second = result.release[1]
    close(second.displacement, direct.total, 1e-8)
    np.testing.assert_array_equal(second.removed, kerf)

    # The part and the stump are free, each for itself: six unknowns of each are arbitrary.
    third = result.release[2]
    assert not third.on_plate.any()
    np.testing.assert_array_equal(third.displacement, result.displacement)
    stump = np.unique(mesh.cells[(x >= 4) & (x <= 5) & (z < 1)])
    part = np.setdiff1d(np.unique(mesh.cells[~kerf]), stump)
    fixed = np.zeros(3 * mesh.num_nodes, dtype=bool)
    for body in (part, stump):
        p = mesh.points[body]
        a = body[0]
        b = body[np.flatnonzero((p[:, 1] == p[0, 1]) & (p[:, 2] == p[0, 2]))[-1]]
        c = body[np.flatnonzero((p[:, 0] == p[0, 0]) & (p[:, 2] == p[0, 2]))[-1]]
        fixed[[3 * a, 3 * a + 1, 3 * a + 2, 3 * b + 1, 3 * b + 2, 3 * c + 2]] = True
    direct.solve(~kerf, fixed)
    direct.align(part)
    direct.align(stump)
    close(result.displacement, direct.total, 1e-8)


def test_a_component_that_becomes_loose_is_aligned_and_the_rest_is_not():
    mesh = bridge()
    result = simulate(mesh, replace(PROCESS, release=[LEG, SLICE]), tolerance=1e-11)
    loose = mesh.points[:, 0] <= 2
    u = result.displacement[loose]
    assert np.abs(rigid_modes(mesh.points[loose]).T @ u.ravel()).max() < 1e-9 * np.abs(u).sum()
    assert np.abs(u).max() > 1e-3
    state = result.release[1]
    np.testing.assert_array_equal(state.on_plate, bottom(mesh, 3, 9))
    assert (result.displacement[state.on_plate] == 0).all()
    # Without the loose part in the simulation after the cut, the rest is the same.
    first = {"box": [[-1, -1, -1], [3, 9, 9]]}
    alone = simulate(mesh, replace(PROCESS, release=[first]), tolerance=1e-11)
    rest = mesh.points[:, 0] > 3
    close(result.displacement[rest], alone.displacement[rest], 1e-8)
    close(result.stress[rest], alone.stress[rest], 1e-7)


@pytest.mark.parametrize("plasticity", [False, True])
def test_true_and_a_cut_along_the_plate_are_the_same(plasticity):
    material = replace(STEEL, yield_stress=300.0, hardening_modulus=2000.0)
    process = replace(PROCESS, material=material, plasticity=plasticity, plastic_increments=1)
    one, other = (
        simulate(bridge(), replace(process, release=release)) for release in (True, [{"below": 0}])
    )
    np.testing.assert_array_equal(one.displacement, other.displacement)
    np.testing.assert_array_equal(one.stress, other.stress)


def test_the_order_of_cuts_without_loss_does_not_matter_to_an_elastic_part():
    right = {"box": [[4, -1, 0], [6, 9, 0]]}
    both = {"box": [[-1, -1, -1], [6, 9, 0]]}
    results = [
        simulate(bridge(), replace(PROCESS, release=release), tolerance=1e-11)
        for release in ([LEG, right], [right, LEG], [both])
    ]
    for result in results[1:]:
        close(result.displacement, results[0].displacement, 1e-8)
        close(result.stress, results[0].stress, 1e-8)


def test_a_part_without_yielding_is_elastic():
    process = replace(PROCESS, release=[LEG, KERF])
    elastic = simulate(bridge(), process, tolerance=1e-11)
    plastic = simulate(
        bridge(), replace(process, plasticity=True, plastic_increments=1), tolerance=1e-11
    )
    for one, other in zip(elastic.release, plastic.release, strict=True):
        close(other.displacement, one.displacement, 1e-7)
    close(plastic.stress, elastic.stress, 1e-7)


@pytest.mark.parametrize("plasticity", [False, True])
def test_mirrored_cuts_of_a_mirrored_part(plasticity):
    material = replace(STEEL, yield_stress=300.0, hardening_modulus=2000.0)
    process = replace(
        PROCESS, material=material, plasticity=plasticity, plastic_increments=1, scan_rotation=90.0
    )
    mesh = bridge()
    origin = (-4.5, 0.0, 0.0)
    here = HexMesh(mesh.mask, SPACING, origin)
    there = HexMesh(mesh.mask[::-1].copy(), SPACING, origin)
    boxes = [[-9, -1, -1], [-2.5, 9, 0]], [[-0.5, -1, 0.5], [1.5, 9, 1.5]]
    mirrored = [[[-b[0], *a[1:]], [-a[0], *b[1:]]] for a, b in boxes]
    mirror = np.array([-1.0, 1.0, 1.0])
    one, other = (
        simulate(mesh, replace(process, release=[{"box": box} for box in cuts]), tolerance=1e-11)
        for mesh, cuts in ((here, boxes), (there, mirrored))
    )
    order = np.lexsort((here.points * mirror).T[[0, 1, 2]])
    np.testing.assert_allclose((here.points * mirror)[order], there.points)
    close((one.displacement * mirror)[order], other.displacement, 1e-8)


def test_a_cantilever_bends_like_a_bimorph():
    """Equal layers, strained by e and 0 along the beam: a curvature of 3/2 e / t where it is free.

    The support reaches to x = 8, and the free length bends down: the lower layer is shorter.
    """
    length, height, strain = 48, 1.0, -0.002
    mesh = HexMesh.from_mask(np.ones((length, 2, 4)), (1.0, 1.0, height / 4))
    process = Process(
        replace(STEEL, poisson_ratio=0.0),
        layer_height=height / 2,
        inherent_strain=(strain, 0.0, 0.0),
        scan_rotation=90.0,
        release=[{"box": [[8, -1, -1], [length + 1, 9, 0]]}],
    )
    result = simulate(mesh, process)
    x, y, z = mesh.points.T
    middle = (np.abs(z - height / 2) < 1e-9) & (y == 1) & (x > 12) & (x < length - 4)
    bend, slope, offset = np.polyfit(x[middle] - 8, result.displacement[middle, 2], 2)
    assert 2 * bend == pytest.approx(1.5 * strain / height, rel=1e-3)
    # The root is within a height of the last clamped node.
    assert abs(slope) < 1.5 * abs(strain)
    assert abs(offset) < 1.5 * abs(strain) * height


def test_the_summary_is_about_the_voxels_that_are_left():
    mesh = bridge()
    result = simulate(mesh, replace(PROCESS, release=[{"below": 1.0}]))
    upper = mesh.points[:, 2] >= 1.0
    np.testing.assert_array_equal(result.remaining_nodes, upper)
    np.testing.assert_array_equal(result.removed, mesh.cell_index[:, 2] < 2)
    summary = summarize(result)
    # The stress at the plate is lost with the feet.
    assert result.von_mises.max() > 2 * result.von_mises[upper].max()
    assert summary["max_von_mises_mpa"] == result.von_mises[upper].max()
    longest = np.linalg.norm(result.displacement[upper], axis=1).max()
    assert summary["max_displacement_mm"] == longest
    on_plate = simulate(mesh, PROCESS)
    assert on_plate.remaining_nodes.all()
    assert summarize(on_plate)["max_von_mises_mpa"] == on_plate.von_mises.max()


def test_files_have_the_steps(tmp_path):
    mesh = bridge()
    assert not find_unsupported(mesh)[0].any()
    result = simulate(mesh, replace(PROCESS, release=[LEG, KERF, {"below": 0}]), history=True)
    assert [s.name for s in result.history[-3:]] == ["cut 1", "cut 2", "cut 3"]
    assert [s.name for s in result.report.steps[-3:]] == ["cut 1", "cut 2", "cut 3"]
    result.save(tmp_path / "part.vtu")
    grid = pyvista.read(tmp_path / "part.vtu")
    for number, state in enumerate(result.release[:-1], start=1):
        field = grid.point_data[f"displacement_after_cut_{number}"]
        np.testing.assert_array_equal(field, state.displacement)
    assert "displacement_after_cut_3" not in grid.point_data
    expected = np.where(result.release[1].removed, 2, 0)
    np.testing.assert_array_equal(grid.cell_data["removed"], expected)
    result.save(tmp_path / "part.vtk")
    np.testing.assert_array_equal(
        pyvista.read(tmp_path / "part.vtk").cell_data["removed"], expected
    )
    result.save_series(tmp_path / "part.pvd")
    last = pyvista.read(tmp_path / "part" / f"part_{len(result.history) - 1:04d}.vtu")
    assert last.n_cells == mesh.num_cells - 12
    found = last.extract_cells(0).center
    assert found == pytest.approx(mesh.points[mesh.cells[0]].mean(axis=0))
    # Removed voxels have the values from before the cut.
    own = np.setdiff1d(mesh.cells, mesh.cells[expected == 0])
    before = result.release[0].displacement
    np.testing.assert_array_equal(result.displacement[own], before[own])
    assert np.isfinite(result.stress).all()


def test_the_command_takes_cuts_of_a_process_file(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    import trimesh

    trimesh.creation.box((12, 2, 2)).export("part.stl")
    command = ["part.stl", "--out", "a.vtu", "--pitch", "1,1,1", "--process", "process.yaml"]
    Path("process.yaml").write_text("release: [{box: [[-9, -9, 0], [2, 9, 0]]}]\n")
    assert main([*command, "--verbose"]) == 0
    assert "cut 1" in capsys.readouterr().out
    Path("process.yaml").write_text("release: [{box: [[7, 0, 0], [9, 9, 9]]}]\n")
    assert main(command) == 2
    error = capsys.readouterr().err
    said = "error: release: cut 1 (box: [[7.0, 0.0, 0.0], [9.0, 9.0, 9.0]]) touches no voxel"
    assert error.splitlines()[-1].startswith(said)
