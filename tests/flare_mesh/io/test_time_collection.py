import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
import pyvista

from flare_mesh.io.time_collection import write_time_collection


def write(path, step):
    path.parent.mkdir(parents=True, exist_ok=True)
    grid = pyvista.ImageData(dimensions=(2, 2, 1)).cast_to_unstructured_grid()
    grid.point_data["step"] = [float(step)] * 4
    grid.save(path)


def test_vtk_reads_it(tmp_path):
    times = (0.1, 0.25, 1e3)
    write_time_collection(tmp_path / "a & b.pvd", times, write)
    reader = pyvista.get_reader(tmp_path / "a & b.pvd")
    assert tuple(reader.time_values) == times
    for step, time in enumerate(times):
        reader.set_active_time_value(time)
        assert reader.read()[0].point_data["step"][0] == step


def test_names_sort_by_time(tmp_path):
    write_time_collection(tmp_path / "s.pvd", range(11), lambda path, step: path_of(path))
    names = [e.attrib["file"] for e in ElementTree.parse(tmp_path / "s.pvd").iter("DataSet")]
    assert names == sorted(names)
    assert names[-1] == "s/s_0010.vtu"


def path_of(path: Path):
    path.parent.mkdir(exist_ok=True)
    path.touch()


def test_a_failed_step_leaves_no_files(tmp_path):
    def fail(path, step):
        if step == 2:
            raise OSError("No space left on device")
        path_of(path)

    with pytest.raises(OSError, match="No space left"):
        write_time_collection(tmp_path / "s.pvd", range(4), fail)
    assert list(tmp_path.iterdir()) == []
