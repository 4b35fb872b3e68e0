import os

import numpy as np
import pytest

from flare_mesh.io.array_cache import cached_npy, cached_npy_file, cached_npz, fingerprint


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "raw.txt"
    path.write_text("1 2 3")
    return path


class Maker:
    def __init__(self):
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return np.full(3, self.calls)


def test_made_once_and_memory_mapped(source, tmp_path):
    make = Maker()
    target = tmp_path / "processed/deep/a.npy"
    for _ in range(3):
        array = cached_npy(target, [source], make)
        assert isinstance(array, np.memmap)
        assert array.tolist() == [1, 1, 1]
    assert make.calls == 1


def test_made_again_when_a_source_changes(source, tmp_path):
    make = Maker()
    target = tmp_path / "processed/a.npy"
    other = tmp_path / "processed/a-b.npy"
    cached_npy(target, [source], make)
    cached_npy(other, [source], make)
    os.utime(source, ns=(1, 1))
    assert cached_npy(target, [source], make).tolist() == [3, 3, 3]
    source.write_text("1 2 3 4")
    os.utime(source, ns=(1, 1))
    assert cached_npy(target, [source], make).tolist() == [4, 4, 4]
    # Outdated files are removed, files of other names are not.
    assert sorted(p.name[:-17] for p in target.parent.iterdir()) == ["a", "a-b"]


def test_several_arrays(source, tmp_path):
    target = tmp_path / "a.npz"
    calls = []

    def make():
        calls.append(1)
        return {"x": np.arange(3), "y": np.ones((2, 2), np.float32)}

    for _ in range(2):
        arrays = cached_npz(target, [source], make, ["x", "y"])
        assert arrays["x"].tolist() == [0, 1, 2]
        assert arrays["y"].dtype == np.float32
    assert len(calls) == 1


def test_where_nothing_can_be_written(source, tmp_path, caplog):
    make = Maker()
    (tmp_path / "processed").touch()
    for number in (1, 2):
        array = cached_npy(tmp_path / "processed/a.npy", [source], make)
        assert array.tolist() == [number] * 3
    assert "cannot be cached, so it is made at each access" in caplog.text


@pytest.mark.parametrize("damage", [lambda c: c[:-8], lambda c: b"x" + c[1:], lambda c: b""])
def test_damaged_files_are_made_again(source, tmp_path, caplog, damage):
    make = Maker()
    folder = tmp_path / "processed"

    def read():
        array = cached_npy(folder / "a.npy", [source], make)
        arrays = cached_npz(folder / "b.npz", [source], lambda: {"x": make()}, ["x"])
        path = cached_npy_file(folder / "c.npy", [source], lambda path: np.save(path, make()))
        return [array[0], arrays["x"][0], np.load(path)[0]]

    assert read() == read() == [1, 2, 3]
    for path in folder.iterdir():
        path.write_bytes(damage(path.read_bytes()))
    assert read() == read() == [4, 5, 6]
    assert caplog.text.count("it is made again") == 3
    assert len([*folder.iterdir()]) == 3


def test_large_files_where_nothing_can_be_written(source, tmp_path, caplog):
    make = Maker()
    (tmp_path / "processed").touch()
    first, path = (
        cached_npy_file(tmp_path / "processed/a.npy", [source], lambda path: np.save(path, make()))
        for _ in range(2)
    )
    assert first == path
    assert caplog.text.count("cannot be cached") == 1
    assert np.load(path).tolist() == [1] * 3


def test_failure_leaves_nothing(source, tmp_path):
    def fail():
        raise ValueError("bad source")

    with pytest.raises(ValueError, match="bad source"):
        cached_npy(tmp_path / "processed/a.npy", [source], fail)
    assert not (tmp_path / "processed").exists()


def test_missing_source(tmp_path):
    with pytest.raises(FileNotFoundError):
        fingerprint([tmp_path / "none"])
