import pytest

from flare_mesh.files import atomic_path


def test_appears_whole(tmp_path):
    target = tmp_path / "new" / "file.txt"
    with atomic_path(target) as temporary:
        temporary.write_text("done")
        assert temporary.suffix == ".txt"
        assert not target.exists()
    assert target.read_text() == "done"
    assert [p.name for p in target.parent.iterdir()] == ["file.txt"]


def test_or_not_at_all(tmp_path):
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
