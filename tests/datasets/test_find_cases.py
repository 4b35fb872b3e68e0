import pytest

from flare_mesh.data.splits import split_names
from flare_mesh.datasets.find_cases import find_cases

NAMES = [f"case_{i}" for i in range(20)]


def touch(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


def test_divides_by_names(tmp_path):
    touch(tmp_path, *(f"{name}.h5" for name in NAMES), "notes.txt", ".hidden.h5")
    for split in ("train", "test"):
        folder, files = find_cases(tmp_path, split, suffixes=[".h5"])
        assert folder == tmp_path
        assert [*files] == split_names(NAMES, split)
        assert [*files.values()] == [f"{name}.h5" for name in files]
    fractions = {"train": 0.5, "val": 0.5}
    files = find_cases(tmp_path, "val", suffixes=[".h5"], fractions=fractions, seed=3)[1]
    assert [*files] == split_names(NAMES, "val", fractions, seed=3)


def test_folders_of_splits(tmp_path):
    touch(tmp_path / "train", "b.h5", "a.vtu", "c.txt")
    touch(tmp_path / "val", "d.h5")
    for name in ("e", ".f"):
        (tmp_path / "train" / name).mkdir()
    suffixes = (".h5", ".vtu")
    folder, files = find_cases(tmp_path, "train", suffixes=suffixes)
    assert folder == tmp_path / "train"
    assert list(files.items()) == [("a", "a.vtu"), ("b", "b.h5")]
    files = find_cases(tmp_path, "train", suffixes=suffixes, folders=True)[1]
    assert [*files] == ["a", "b", "e"]
    assert find_cases(tmp_path, "val", suffixes=suffixes)[1] == {"d": "d.h5"}
    with pytest.raises(FileNotFoundError, match="test: no such folder, while other splits have"):
        find_cases(tmp_path, "test", suffixes=suffixes)
    with pytest.raises(ValueError, match="its splits have folders already; leave out 'fractions'"):
        find_cases(tmp_path, "val", suffixes=suffixes, fractions={"val": 1.0})


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere: no such folder"):
        find_cases(tmp_path / "nowhere", "train")
    with pytest.raises(
        FileNotFoundError, match=r"no cases there; expected files <case>.h5 or folders <case>"
    ):
        find_cases(tmp_path, "train", suffixes=[".h5"], folders=True)
    touch(tmp_path, "a.h5")
    with pytest.raises(ValueError, match=r"unknown split 'val'; choose from \['train', 'test'\]"):
        find_cases(tmp_path, "val", suffixes=[".h5"])
    with pytest.raises(ValueError, match="1 cases are too few to have one in split 'test'"):
        find_cases(tmp_path, "test", suffixes=[".h5"])
    touch(tmp_path, "a.hdf5")
    with pytest.raises(ValueError, match=r"\['a.h5', 'a.hdf5'\] are cases of the same name"):
        find_cases(tmp_path, "train", suffixes=[".h5", ".hdf5"])
