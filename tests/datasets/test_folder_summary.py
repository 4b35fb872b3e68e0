import numpy as np
import pytest
import torch

from flare_mesh import MeshData
from flare_mesh.datasets import MeshFolder
from flare_mesh.datasets.folder_summary import summarize_folder
from flare_mesh.io import MeshFileWarning, write_mesh


def plate(side=1.0, shift=0.0):
    pos = torch.tensor([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]], dtype=torch.float64)
    data = MeshData(side * pos + shift, quad=torch.tensor([[0, 1, 2, 3]]), units={"heat": "W"})
    data.heat = side * pos[:, :1]
    data.cell_stress = torch.tensor([side])
    data.load = torch.tensor([[3 * side]])
    return data


def write_plates(root, count=6, **options):
    for number in range(count):
        write_mesh(root / f"p_{number}_s{2 * number + 1}.vtu", plate(2 * number + 1, **options))


def test_folder(tmp_path):
    write_plates(tmp_path)
    found = summarize_folder(tmp_path)
    assert (found.num_cases, found.formats, found.kind) == (6, {".vtu": 6}, "plane")
    assert (found.num_nodes, found.cells, found.fixed_mesh) == ((4, 4, 4), ("quad",), False)
    assert found.names.values == {"s": [1, 3, 5, 7, 9, 11]}
    heat = found.fields["heat"]
    assert (heat.place, heat.channels, heat.unit, heat.in_all) == ("node", 1, "W", True)
    assert (found.fields["stress"].place, found.fields["load"].place) == ("cell", "case")
    # The choices of init are based on the training cases alone.
    training = MeshFolder(tmp_path, "train", targets=["heat"]).cases
    assert [case.name for case in found.training] == training
    assert len(training) == 5
    sides = [2 * int(name[2]) + 1 for name in training]
    np.testing.assert_allclose(found.sizes["extent x"], sides)
    np.testing.assert_allclose(found.sizes["measure"], np.square(sides))
    assert (found.splits, found.steps, found.has_steps, found.origin) == ({}, (1, 1), False, None)
    assert str(found).splitlines() == [
        f"{tmp_path}: 6 cases (6 .vtu)",
        "meshes: 4 nodes; quad; kind: plane; each case has its own mesh",
        "fields: stress (cell, 1 channel), load (case, 1 channel), heat (node, 1 channel, W)",
        "numbers: s (file names)",
    ]
    few = summarize_folder(tmp_path, max_cases=3)
    assert str(few).startswith(f"{tmp_path}: 6 cases (6 .vtu); 3 of them, evenly spaced, were read")
    assert [case.name for case in few.sampled] == ["p_0_s1", "p_2_s5", "p_5_s11"]
    assert few.num_cases == 6


def test_same_mesh_and_splits(tmp_path):
    for number, split in enumerate(["train", "train", "test"]):
        data = plate()
        data.heat = number * data.heat
        write_mesh(tmp_path / split / f"{number}.vtu", data)
    found = summarize_folder(tmp_path)
    assert found.fixed_mesh
    assert found.fixed_fields == {"load", "stress"}
    assert [case.name for case in found.training] == ["train/0", "train/1"]
    assert found.splits == {"train": 2, "test": 1}
    (tmp_path / "train").rename(tmp_path / "training")
    with pytest.raises(FileNotFoundError, match="'test' but no folder 'train'"):
        summarize_folder(tmp_path)


def test_far_from_the_origin(tmp_path):
    write_plates(tmp_path, shift=4e6 + 0.1)
    origin = summarize_folder(tmp_path).origin
    assert origin == (4e6, 4e6, 4e6)
    assert len(MeshFolder(tmp_path, None, targets=["heat"], origin=origin)) == 6


def test_cases_that_cannot_be_used(tmp_path):
    write_plates(tmp_path)
    bad = tmp_path / "p_3_s7.vtu"
    bad.write_bytes(bad.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"1 of the 6 cases .*p_3_s7.vtu.* by --skip-bad"):
        summarize_folder(tmp_path)
    with pytest.warns(MeshFileWarning, match="such cases are left out"):
        found = summarize_folder(tmp_path, skip_bad=True)
    assert len(found.sampled) == 5
    assert found.bad[0][0] == "p_3_s7"
    with pytest.raises(FileNotFoundError, match="no such folder"):
        summarize_folder(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="no mesh files"):
        summarize_folder(tmp_path / "empty")


def test_time_series(tmp_path):
    for case in "ab":
        lines = []
        for step in range(3):
            data = plate(1.0 + step)
            data.given = torch.full((4, 1), float(ord(case)))
            write_mesh(tmp_path / "steps" / f"{case}_{step}.vtu", data)
            lines.append(f'<DataSet timestep="{step}" file="steps/{case}_{step}.vtu"/>')
        text = f'<VTKFile type="Collection"><Collection>{"".join(lines)}</Collection></VTKFile>'
        (tmp_path / f"{case}.pvd").write_text(text)
    found = summarize_folder(tmp_path)
    assert (found.case_names, found.has_steps) == (("a", "b"), True)
    assert found.sampled[0].extents[0] == 3  # the last step
    found = summarize_folder(tmp_path, series=True)
    assert (found.case_names, found.steps) == (("a", "b"), (3, 3))
    assert found.static_fields == {"given"}
