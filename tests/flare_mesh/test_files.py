import errno
import os
import pickle

import numpy as np
import pytest
import torch

from flare_mesh.files import (
    WriteError,
    atomic_path,
    check_folder,
    check_readable,
    error_text,
    is_whole,
    read_json_object,
    write_text,
)


def test_appears_whole(tmp_path):
    target = tmp_path / "new" / "file.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("done")
        assert temporary.suffix == ".txt"
        assert not target.exists()
    assert target.read_text() == "done"
    assert [p.name for p in target.parent.iterdir()] == ["file.txt"]


def test_not_at_all_after_an_error(tmp_path):
    target = tmp_path / "file.txt"
    target.write_text("old")

    def fill_the_disk():
        with atomic_path(target) as temporary:
            temporary.write_text("half")
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        fill_the_disk()
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_is_whole(tmp_path):
    path = tmp_path / "case.npz"
    assert not is_whole(path)
    assert not is_whole(tmp_path)
    arrays = {"pos": np.arange(3.0), "elems": np.arange(4)}
    np.savez(path, allow_pickle=False, **arrays)
    assert is_whole(path)
    content = path.read_bytes()
    for stop in (*range(0, len(content), 7), len(content) - 1):
        path.write_bytes(content[:stop])
        assert not is_whole(path)
    path.write_bytes(b"PK\x05\x06" + bytes(18))  # an archive without members
    assert not is_whole(path)


@pytest.mark.parametrize("write", [np.savez, np.savez_compressed])
def test_any_damaged_byte_is_noticed_or_harmless(tmp_path, write):
    path = tmp_path / "case.npz"
    arrays = {"pos": np.arange(3.0), "elems": np.arange(4)}
    write(path, allow_pickle=False, **arrays)
    content = path.read_bytes()
    seen = 0
    for place in range(len(content)):
        path.write_bytes(
            content[:place] + bytes([content[place] ^ 0xFF >> place % 8]) + content[place + 1 :]
        )
        if not is_whole(path):
            seen += 1
            continue
        with np.load(path, allow_pickle=False) as file:
            assert sorted(file) == sorted(arrays)
            for name, array in arrays.items():
                np.testing.assert_array_equal(file[name], array)
    assert seen > len(content) // 3


def write_part(path, error):
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"part")
        raise error


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("a.txt", lambda path: path.write_bytes(bytes(5000))),
        ("a.npy", lambda path: np.save(path, np.zeros(5000))),
        ("a.npz", lambda path: np.savez(path, a=np.zeros(5000))),
        ("a.pt", lambda path: torch.save({"a": torch.zeros(5000)}, path)),
    ],
)
def test_a_full_disk_is_named_and_leaves_the_old_file(tmp_path, full_disk, name, write):
    target = tmp_path / name
    target.write_text("old")
    with (
        full_disk(2000),
        pytest.raises(WriteError, match=rf"{name}: cannot be written \(File too large\); choose"),
        atomic_path(target) as temporary,
    ):
        write(temporary)
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_an_exception_of_the_writer_names_the_full_disk(tmp_path, full_disk):
    error = RuntimeError("unexpected position 576")
    with full_disk(2000), pytest.raises(WriteError, match="File too large"):
        write_part(tmp_path / "a", error)
    with pytest.raises(RuntimeError, match="unexpected position"):  # the disk is not full
        write_part(tmp_path / "a", error)
    with pytest.raises(FileNotFoundError, match=r"input\.csv"):  # a file that the writer reads
        write_part(tmp_path / "a", FileNotFoundError(2, "No such file", "input.csv"))
    assert list(tmp_path.iterdir()) == []


def test_a_write_error_keeps_its_number_between_processes():
    error = pickle.loads(pickle.dumps(WriteError(errno.ENOSPC, "No space left", "a.npz")))
    assert (error.errno, str(error)) == (
        errno.ENOSPC,
        "a.npz: cannot be written (No space left); choose another place",
    )


def test_a_writer_that_writes_nothing(tmp_path):
    with (
        pytest.raises(OSError, match=r"a\.vtu: .*left no file"),
        atomic_path(tmp_path / "a.vtu"),
    ):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("umask", [0o022, 0o007])
def test_files_have_the_mode_of_the_umask(tmp_path, umask):
    old = os.umask(umask)
    try:
        with atomic_path(tmp_path / "a") as temporary:
            os.close(os.open(temporary, os.O_CREAT, 0o600))
        write_text(tmp_path / "b", "text")
    finally:
        os.umask(old)
    assert {p.stat().st_mode & 0o777 for p in tmp_path.iterdir()} == {0o666 & ~umask}


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("loop", "has a symbolic link to itself in its folders"),
        ("loop/file", "has a symbolic link to itself in its folders"),
        ("none/../loop/file", "has a symbolic link to itself in its folders"),
        ("dangling/deeper/file", "dangling is a symbolic link that leads nowhere; remove it"),
    ],
)
def test_links_that_lead_nowhere(tmp_path, place, message):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "dangling").symlink_to("none")
    with pytest.raises(NotADirectoryError, match=message):
        check_folder(tmp_path / place)


def test_a_folder_that_may_not_be_listed(tmp_path, monkeypatch):
    check_readable(tmp_path)
    check_readable(tmp_path / "none")

    def refuse(path):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", refuse)  # root may list every folder
    with pytest.raises(PermissionError) as error:
        check_readable(tmp_path)
    assert error_text(error.value) == f"{tmp_path}: Permission denied"


def test_text_of_an_error():
    assert error_text(OSError("of ours")) == "of ours"
    assert error_text(ValueError("a.vtu: damaged")) == "a.vtu: damaged"
    assert "cannot be written" in error_text(WriteError(28, "No space left", "a.npz"))


@pytest.mark.parametrize("number", ["1e400", "-1e999", "NaN", "Infinity"])
def test_json_has_finite_numbers(tmp_path, number):
    path = tmp_path / "meta.json"
    path.write_text(f'{{"steps": [1, {number}]}}')
    with pytest.raises(ValueError, match=r"meta\.json: damaged \(the number .* is not finite\)"):
        read_json_object(path)
    path.write_text('{"steps": [1, 1e300, 2.5]}')
    assert read_json_object(path)["steps"] == [1, 1e300, 2.5]
