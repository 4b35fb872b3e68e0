import numpy as np
import pytest

from flare_mesh.files import atomic_path, is_whole


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
