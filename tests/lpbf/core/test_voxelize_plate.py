import json

import numpy as np
import pytest
import pyvista
import trimesh

from lpbf import IslandError, PartError, Process, simulate, voxelize
from lpbf.core.voxelize_plate import voxelize_plate
from lpbf.simulate.__main__ import main


def block(size, center):
    return trimesh.creation.box(size).apply_translation(center)


A, B = block((8.0, 4.0, 6.0), (10.0, 0.0, 3.0)), block((4.0, 4.0, 4.0), (22.0, 6.0, 10.0))


def test_each_part_is_built_as_if_it_were_alone():
    mesh = voxelize_plate([A, B], 2.0)
    assert mesh.mask.shape == (9, 5, 3)
    numbers = mesh.plate.number[mesh.mask]
    assert np.bincount(numbers).tolist() == [0, 4 * 2 * 3, 2 * 2 * 2]
    result = simulate(mesh, Process(release=True))
    for number, (part, motion) in enumerate(zip((A, B), mesh.plate.motions, strict=True), start=1):
        own = np.unique(result.cells[result.part_number == number])
        corners = motion.apply(np.array(part.vertices))
        points = mesh.points[own]
        np.testing.assert_allclose(points.min(axis=0), corners.min(axis=0), atol=1e-12)
        np.testing.assert_allclose(points.max(axis=0), corners.max(axis=0), atol=1e-12)
        alone = simulate(voxelize(part, 2.0), Process(release=True))
        np.testing.assert_allclose(result.displacement[own], alone.displacement, atol=1e-7)


def test_a_row_with_a_gap():
    flat = block((2.0, 10.0, 6.0), (0.0, 0.0, 0.0))  # lies on its side of 10 x 6
    low = block((6.0, 6.0, 2.0), (0.0, 0.0, 0.0))
    mesh = voxelize_plate([A, flat, low], 2.0, gap=4.0, place="orient")
    low = [mesh.points[np.unique(mesh.cells[_numbers(mesh) == n])].min(axis=0) for n in (1, 2, 3)]
    high = [mesh.points[np.unique(mesh.cells[_numbers(mesh) == n])].max(axis=0) for n in (1, 2, 3)]
    gaps = [low[1][0] - high[0][0], low[2][0] - high[1][0]]
    np.testing.assert_allclose(gaps, 4.0)
    np.testing.assert_allclose([corner[2] for corner in high], [4, 2, 2])
    np.testing.assert_allclose([lo[1] + hi[1] for lo, hi in zip(low, high, strict=True)], 0)


def _numbers(mesh):
    return mesh.plate.number[tuple(mesh.cell_index.T)]


@pytest.mark.parametrize("shift", [(0.0, 0.0, 0.0), (8.0, 0.0, 0.0), (8.0, 4.0, 0.0)])
def test_parts_that_overlap_or_touch(shift):
    with pytest.raises(PartError, match="part and part overlap or have voxels that touch; move"):
        voxelize_plate([A, A.copy().apply_translation(shift)], 2.0)


def test_parts_above_the_plate():
    with pytest.raises(IslandError, match="islands are unsupported"):
        voxelize_plate([A, B], 2.0, place="as-is", islands="refuse")
    with pytest.warns(UserWarning, match="dropped"), pytest.raises(PartError, match="nothing of"):
        voxelize_plate([A, B], 2.0, place="as-is")
    mesh = voxelize_plate([A, B], 2.0, place="as-is", islands="powder")
    assert mesh.mask.shape == (9, 5, 6)
    result = simulate(mesh, Process(supports=True))
    assert result.mesh.plate is mesh.plate
    assert result.mesh.supports.sum() == 2 * 2 * 4


def test_options_that_do_not_fit():
    for options, message in [
        ({"place": "orient"}, "expected a gap between several oriented parts"),
        ({"gap": 0.0}, "expected a gap > 0 mm"),
        ({"supports": [A]}, "expected place 'as-is' without a gap"),
    ]:
        with pytest.raises(ValueError, match=message):
            voxelize_plate([A, B], 2.0, **options)


def test_several_parts_on_the_command_line(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    A.export("a.stl")
    B.export("b.stl")
    command = [
        "a.stl",
        "b.stl",
        "--out",
        "p.vtu",
        "--pitch",
        "2,2,2",
        "--report",
        "p.json",
        "--unit",
    ]
    assert main([*command, "mm"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "a.stl: 8 x 4 x 6 mm (file in mm)"
    assert said[2].startswith("a.stl, b.stl: 87 nodes, 32 voxels")
    parts = json.loads((tmp_path / "p.json").read_text())["summary"]["parts"]
    assert [(part["name"], part["volume_mm3"]) for part in parts] == [("a.stl", 192), ("b.stl", 64)]
    shown = [line for line in said if line.startswith("part 2")]
    assert shown[0].startswith("part 2              b.stl: max displacement ")
    grid = pyvista.read("p.vtu")
    assert np.bincount(grid.cell_data["part"]).tolist() == [0, 24, 8]
    largest = np.linalg.norm(grid.point_data["displacement"], axis=1)
    assert grid.field_data["part_translation"].shape == (2, 3)
    assert max(part["max_displacement_mm"] for part in parts) == pytest.approx(largest.max())
    assert main(["a.stl", "--out", "p.vtu", "--gap", "2"]) == 2
    assert "--gap: expected several parts" in capsys.readouterr().err
    assert main(["a.stl", "b.stl", "--out", "b.stl.vtu", "--gap", "-2"]) == 2


def test_a_unit_that_applies_to_no_part_is_refused(tmp_path):
    A.export(tmp_path / "a.3mf")
    parts = [tmp_path / "a.3mf"] * 2
    with pytest.raises(PartError, match="has a unit of its own .mm., not 'inch'; leave out --unit"):
        voxelize_plate(parts, 2.0, gap=4.0, unit="inch")
