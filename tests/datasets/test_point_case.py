import h5py
import numpy as np
import pytest

from flare_mesh.data.splits import split_names
from flare_mesh.datasets.point_case import find_cases, open_case

NAMES = [f"case_{i}" for i in range(20)]


def test_npy(tmp_path):
    (tmp_path / "fields").mkdir()
    np.save(tmp_path / "pos.npy", np.zeros((5, 3)))
    np.save(tmp_path / "fields/p.npy", np.arange(5.0))
    np.save(tmp_path / "name.npy", np.array(["a"]))
    np.save(tmp_path / ".partial.npy", np.zeros(1))
    (tmp_path / "broken.npy").write_bytes(b"nothing")
    with open_case(tmp_path) as case:
        assert case.shapes() == {"pos": (5, 3), "fields/p": (5,)}
        assert isinstance(case.array("fields/p"), np.memmap)
        there = r"\['broken', 'fields/p', 'name', 'pos'\]"
        with pytest.raises(ValueError, match=rf"'p': not there; it has {there}"):
            case.array("p")
        with pytest.raises(ValueError, match=r"name\.npy: expected real numbers \(got text"):
            case.array("name")
        with pytest.raises(ValueError, match=r"broken\.npy: not a whole npy file"):
            case.array("broken")


def test_hdf5(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["group/secret"] = np.zeros(5)
    with h5py.File(path, "w") as file:
        file["pos"] = np.zeros((5, 3))
        file["fields/p"] = np.arange(5.0)
        file["name"] = "text"
        file["null"] = h5py.Empty("f4")
        file["again"] = h5py.SoftLink("/fields/p")
        file["outside"] = h5py.ExternalLink("other.h5", "group")
        file["detour"] = h5py.SoftLink("/outside/secret")
    with open_case(path) as case:
        assert case.shapes() == {"pos": (5, 3), "fields/p": (5,)}
        for name, message in (
            ("p", r"a\.h5, 'p': no such data set; '/' has \['again', 'detour', 'fields', "),
            ("fields", "expected an array of numbers"),
            ("name", "expected an array of numbers"),
            ("null", "expected an array"),
            ("outside/secret", "links to another file"),
            ("again", "'again' is a soft link, which is not followed"),
            ("detour", "'detour' is a soft link, which is not followed"),
        ):
            with pytest.raises(ValueError, match=message):
                case.array(name)


def test_damaged(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["pos"] = np.zeros((5, 3))
    content = path.read_bytes()
    path.write_bytes(content[:1000])
    with pytest.raises(ValueError, match=r"a\.h5: not a whole HDF5 file"), open_case(path):
        pass
    # Damage to any byte of the headers is a ValueError with the path.
    messages = []
    for place in range(0, 1400, 2):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            with open_case(path) as case:
                case.shapes()
                case.array("pos")
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 20
    assert all(message.startswith(str(path)) for message in messages)


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_divides_by_names(tmp_path):
    touch(tmp_path, *(f"{name}.h5" for name in NAMES), "notes.txt", ".hidden.h5")
    for split in ("train", "test"):
        folder, files = find_cases(tmp_path, split)
        assert folder == tmp_path
        assert [*files] == split_names(NAMES, split)
        assert [*files.values()] == [f"{name}.h5" for name in files]
    fractions = {"train": 0.5, "val": 0.5}
    files = find_cases(tmp_path, "val", fractions=fractions, seed=3)[1]
    assert [*files] == split_names(NAMES, "val", fractions, seed=3)


def test_folders_of_splits(tmp_path):
    touch(tmp_path / "train", "b.h5", "a.hdf5", "c.txt")
    touch(tmp_path / "val", "d.h5")
    for name in ("e", ".f"):
        (tmp_path / "train" / name).mkdir()
    folder, files = find_cases(tmp_path, "train")
    assert folder == tmp_path / "train"
    assert list(files.items()) == [("a", "a.hdf5"), ("b", "b.h5"), ("e", "e")]
    assert find_cases(tmp_path, "val")[1] == {"d": "d.h5"}
    with pytest.raises(FileNotFoundError, match="test: no such folder, while other splits have"):
        find_cases(tmp_path, "test")
    with pytest.raises(ValueError, match="its splits have folders already; leave out 'fractions'"):
        find_cases(tmp_path, "val", fractions={"val": 1.0})


def test_cases_that_are_not_found(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        find_cases(tmp_path / "nowhere", "train")
    with pytest.raises(
        FileNotFoundError, match=r"no cases there; expected files <case>.h5 or .* folders <case>"
    ):
        find_cases(tmp_path, "train")
    touch(tmp_path, "a.h5")
    with pytest.raises(ValueError, match=r"unknown split 'val'; choose from \['test', 'train'\]"):
        find_cases(tmp_path, "val")
    with pytest.raises(ValueError, match="1 cases are too few to have one in split 'test'"):
        find_cases(tmp_path, "test")
    touch(tmp_path, "a.hdf5")
    with pytest.raises(ValueError, match=r"\['a.h5', 'a.hdf5'\] are cases of the same name"):
        find_cases(tmp_path, "train")
