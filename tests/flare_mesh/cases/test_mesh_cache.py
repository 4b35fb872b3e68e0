import json
import warnings

import numpy as np
import pytest
import pyvista
import torch

import flare_mesh.cases.recipe as recipe
from flare_mesh import MeshData
from flare_mesh.cases.case_files import MeshStep
from flare_mesh.cases.mesh_cache import MeshCache
from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.datasets import MeshFolder
from flare_mesh.io import MeshFileWarning, write_mesh


def plate(cells=2, **fields):
    data = MeshData.from_pyvista(pyvista.ImageData(dimensions=(cells + 1, cells + 1, 1)))
    del data.edge_index
    data.u = data.pos[:, :2].clone()
    for name, values in fields.items():
        data[name] = values
    return data


@pytest.fixture
def root(tmp_path):
    for number in range(10):
        write_mesh(tmp_path / "meshes" / f"{number}.vtu", plate(2 + number))
    return tmp_path / "meshes"


@pytest.fixture
def read(monkeypatch):
    """Names of the files that are read."""
    files = []
    real = recipe.read_mesh
    monkeypatch.setattr(
        recipe, "read_mesh", lambda path, **k: files.append(path.name) or real(path, **k)
    )
    return files


def test_splits_share_a_cache(root, read):
    counts = []
    for split in ("train", "test", "train", "test", None):
        data = MeshFolder(root, split, targets=["u"])
        counts.append(len(read))
        read.clear()
    assert counts == [8, 2, 0, 0, 0]
    assert [case.num_nodes for case in data] == [(3 + number) ** 2 for number in range(10)]
    (root / "3.vtu").unlink()
    for split in ("train", "test"):
        MeshFolder(root, split, targets=["u"])
    assert len([*(root / "processed").rglob("*.npz")]) == 9


@pytest.mark.parametrize("workers", [0, 2])
def test_a_new_cache_draws_no_random_numbers(root, workers):
    before = torch.get_rng_state()
    MeshFolder(root, None, targets=["u"], workers=workers)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("workers", [0, 2])
def test_warnings_of_the_readers_are_given_every_time(root, workers):
    for number in (3, 7):
        data = plate(2 + number)
        data.pos = torch.cat([data.pos, data.pos[:1] + 50])
        data.u = torch.cat([data.u, data.u[:1] * torch.nan])
        write_mesh(root / f"{number}.vtu", data)
    for _ in range(2):
        with pytest.warns(MeshFileWarning) as warned:
            data = MeshFolder(root, None, targets=["u"], workers=workers)
        assert sorted(str(one.message) for one in warned) == [
            f"{root / '3.vtu'}: 1 of 37 nodes belong to no cell and are left out",
            f"{root / '7.vtu'}: 1 of 101 nodes belong to no cell and are left out",
        ]
        assert data[3].num_nodes == 36


def test_warnings_of_many_files(monkeypatch, root):
    def warn(path, **options):
        warnings.warn(f"{path}: the section 'x' is not read", MeshFileWarning, stacklevel=2)
        return real(path, **options)

    real = recipe.read_mesh
    monkeypatch.setattr(recipe, "read_mesh", warn)
    with pytest.warns(MeshFileWarning) as warned:
        MeshFolder(root, None, targets=["u"])
    (text,) = (str(one.message) for one in warned)
    assert text.endswith(".vtu and 9 more files: the section 'x' is not read")


def test_two_processes_add_to_one_index(root, monkeypatch):
    steps = [MeshStep(str(root / f"{number}.vtu")) for number in range(4)]
    first, second = (MeshCache(root / "processed", root, CaseRecipe(), ["u"]) for _ in range(2))

    def add_while_another_process_updates(step):
        second.update(steps[2:])
        return MeshCache.add(first, step)

    monkeypatch.setattr(first, "add", add_while_another_process_updates)
    first.update(steps[:2])
    assert json.loads(first.index_file.read_text()).keys() == {f"{n}.vtu" for n in range(4)}


def test_errors_are_not_cached(root, monkeypatch):
    def fails(path, **_):
        raise ImportError("no reader")

    with monkeypatch.context() as context:
        context.setattr(recipe, "read_mesh", fails)
        with pytest.raises(ValueError, match=r"0\.vtu: no reader"):
            MeshFolder(root, None, targets=["u"])
    assert len(MeshFolder(root, None, targets=["u"])) == 10


def test_steps_of_one_file(tmp_path, monkeypatch):
    root = tmp_path / "run#1"
    root.mkdir()
    (root / "a.xdmf").write_text("<Xdmf/>")
    steps = [MeshStep(str(root / "a.xdmf"), number) for number in range(3)]
    cache = MeshCache(tmp_path / "cache", root, CaseRecipe(), ["u"])
    looked = []
    real = cache.state
    monkeypatch.setattr(cache, "state", lambda step: looked.append(step) or real(step))
    monkeypatch.setattr(cache, "add", lambda step: {"channels": {"u": 1}})
    entries = cache.update(steps)
    assert ([*entries], len(looked)) == (steps, 1)
    cache.update([])
    assert len(json.loads(cache.index_file.read_text())) == 3
    (root / "a.xdmf").unlink()
    cache.update([])
    assert json.loads(cache.index_file.read_text()) == {}


@pytest.mark.parametrize(
    "text",
    [
        *("[1, 2]", '{"0.vtu": 3}', '{"0.vtu": {}}', "{", "[" * 10**5),
        *('{"0.vtu": {"channels": {"v": 1}}}', '{"0.vtu": {"channels": {"u": 1.5}}}'),
    ],
)
def test_a_damaged_index_is_replaced(root, read, text):
    data = MeshFolder(root, None, targets=["u"])
    read.clear()
    data.cache.index_file.write_text(text)
    MeshFolder(root, None, targets=["u"])
    assert len(read) == 10


def test_an_index_cannot_name_files_outside_the_cache(root, tmp_path):
    data = MeshFolder(root, None, targets=["u"])
    (tmp_path / "mine.npz").touch()
    known = json.loads(data.cache.index_file.read_text())
    known["../../../mine"] = known["0.vtu"]
    data.cache.index_file.write_text(json.dumps(known))
    MeshFolder(root, None, targets=["u"])
    assert (tmp_path / "mine.npz").exists()


def test_two_roots_may_share_a_folder(root, tmp_path):
    write_mesh(tmp_path / "other" / "0.vtu", plate(30))
    mine, other = (
        MeshFolder(folder, None, targets=["u"], cache=tmp_path / "cache")
        for folder in (root, tmp_path / "other")
    )
    assert (mine[0].num_nodes, other[0].num_nodes) == (9, 961)


def test_a_folder_that_is_not_writable(root):
    (root / "processed").write_text("a file")
    with pytest.raises(
        ValueError, match=r"processed: not writable as a cache of meshes .*as 'cache'"
    ):
        MeshFolder(root, None, targets=["u"])


def test_nothing_is_written_outside_of_the_cache(root, tmp_path):
    before = {path.name for path in root.iterdir()}
    data = MeshFolder(root, None, targets=["u"], cache=tmp_path / "cache")
    assert {path.name for path in root.iterdir()} == before
    assert torch.equal(data[0].y, plate(2).u)


@pytest.mark.parametrize("name", ["file", "allow_pickle", "a/b", "time", "f0"])
def test_names_of_fields(tmp_path, name):
    write_mesh(tmp_path / "0.vtu", plate(**{name: torch.arange(9)}))
    case = MeshFolder(tmp_path, None, targets=[name])[0]
    assert case.y[:, 0].tolist() == [*range(9)]


def test_the_size_limit_holds_for_cached_files(root):
    cache = MeshCache(root / "processed", root, CaseRecipe(), ["u"], max_bytes=1 << 20)
    step = MeshStep(str(root / "0.vtu"))
    cache.add(step)
    cache.max_bytes = 100
    with pytest.raises(ValueError, match="more than the limit"):
        cache.read(step)


def solid_with_boundary():
    """Four points, a tetrahedron, its four faces and two corners, in this order of VTK cells."""
    data = MeshData(torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]))
    data.vertex = torch.tensor([[0], [3]])
    data.triangle = torch.tensor([[0, 2, 1], [0, 1, 3], [1, 2, 3], [2, 0, 3]])
    data.tetra = torch.tensor([[0, 1, 2, 3]])
    data.cell_part = torch.tensor([7, 7, 1, 2, 3, 4, 9])
    data.mark = torch.tensor([0, 4, 8, 12])
    return data


def test_cells_of_the_highest_dimension(tmp_path):
    write_mesh(tmp_path / "0.vtu", solid_with_boundary())
    names = ["part", "mark"]
    case = MeshFolder(tmp_path, None, targets=names, on="cells", weights=True)[0]
    assert case.pos.tolist() == [[0.25, 0.25, 0.25]]
    assert case.y.tolist() == [[9.0, 6.0]]
    np.testing.assert_allclose(case.weight, [1 / 6], rtol=1e-6)
    # Integers on cells, at the nodes.
    case = MeshFolder(tmp_path, None, targets=names)[0]
    assert case.y.tolist() == [[9.0, 0], [9, 4], [9, 8], [9, 12]]
