import os

import pytest

from flare_mesh.io.folder_walk import matching, walk_folder


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def test_each_folder_is_listed_once(tmp_path):
    touch(tmp_path, "a/x", "a/.hidden", ".b/y", "c/d/z", "out/w")
    (tmp_path / "c/circle").symlink_to(tmp_path)
    (tmp_path / "c/again").symlink_to("../a")
    (tmp_path / "c/hidden").symlink_to("../.b")
    found = walk_folder(tmp_path, leave_out=[tmp_path / "out"])
    names = sorted(os.path.relpath(file, tmp_path) for file in found.files)
    assert names == ["a/x", "c/d/z", "c/hidden/y"]
    assert found[1:] == ([], [], [])


def test_links_leave_the_folder_only_on_request(tmp_path):
    touch(tmp_path, "data/x", "disk/y", "data-2/z")
    for name, target in (("out", "disk"), ("near", "data-2"), ("file", "disk/y")):
        (tmp_path / "data" / name).symlink_to(tmp_path / target)
    root = tmp_path / "data"
    found = walk_folder(root)
    assert found.files == [str(root / "x")]
    assert sorted(found.outside) == [str(root / name) for name in ("file", "near", "out")]
    # The file of two links is listed once, by the folder.
    followed = walk_folder(root, follow=True)
    assert sorted(followed.files) == [str(root / name) for name in ("near/z", "out/y", "x")]
    assert sorted(walk_folder(root, within=tmp_path).files) == sorted(followed.files)


def test_relative_paths(tmp_path, monkeypatch):
    touch(tmp_path, "a/x")
    monkeypatch.chdir(tmp_path)
    here = type(tmp_path)(".")
    assert walk_folder(here).files == ["a/x"]
    assert matching(here, ["a/x", "x"], "*/x") == ["a/x"]
    assert matching(here, ["a/x", "x"], "**/x") == ["a/x", "x"]
    with pytest.raises(ValueError, match="invalid pattern"):
        matching(here, [], "a**/x")
