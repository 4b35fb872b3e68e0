import gzip
import io
import tarfile

import pytest

from flare_mesh.io.extract_tar import extract_tar


def write_tar(path, *members, mode="w:gz"):
    with tarfile.open(path, mode) as archive:
        for name, content, *link in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if link:
                info.type, info.linkname = link
            archive.addfile(info, io.BytesIO(content))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_unpacks(tmp_path, mode):
    path = write_tar(tmp_path / "a.tar", ("a/b.txt", b"one"), ("c.txt", b"two"), mode=mode)
    extract_tar(path, tmp_path / "out", max_bytes=6)
    assert (tmp_path / "out/a/b.txt").read_text() == "one"
    assert (tmp_path / "out/c.txt").read_text() == "two"


@pytest.mark.parametrize("mode", ["w", "w:gz"])
def test_every_truncation_is_noticed(tmp_path, mode):
    path = write_tar(tmp_path / "a.tar", ("a", b"one"), ("b", b"x" * 700), mode="w")
    content = path.read_bytes()
    ends = content.rstrip(b"\0").rfind(b"x") // 512 * 512 + 512
    for length in range(0, ends + 1024, 256):
        with gzip.open(path, "w") if mode == "w:gz" else path.open("wb") as file:
            file.write(content[:length])
        with pytest.raises(ValueError, match="cannot be unpacked"):
            extract_tar(path, tmp_path / "out", max_bytes=1000)
    path.write_bytes(content[: ends + 1024])
    extract_tar(path, tmp_path / "out", max_bytes=1000)


def test_checksum(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", ("a", b"one"))
    content = path.read_bytes()
    path.write_bytes(content[:-8] + bytes([content[-8] ^ 1]) + content[-7:])
    with pytest.raises(ValueError, match="cannot be unpacked"):
        extract_tar(path, tmp_path / "out", max_bytes=1000)


def test_limit(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", ("a", b"x" * 10), ("b", b"x" * 10_000_000))
    with pytest.raises(ValueError, match="unpacks to more than 1,000 bytes"):
        extract_tar(path, tmp_path / "out", max_bytes=1000)
    assert not (tmp_path / "out/b").exists()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (("../evil.txt", b"x"), "cannot be unpacked"),
        (("link", b"", tarfile.SYMTYPE, "/etc"), "'link' is neither a file nor a folder"),
        (("link", b"", tarfile.LNKTYPE, "other"), "'link' is neither a file nor a folder"),
        (("device", b"", tarfile.CHRTYPE, ""), "'device' is neither a file nor a folder"),
    ],
)
def test_refuses(tmp_path, member, message):
    path = write_tar(tmp_path / "a.tar.gz", member)
    with pytest.raises(ValueError, match=message):
        extract_tar(path, tmp_path / "out", max_bytes=1000)
    assert not (tmp_path / "evil.txt").exists()
    assert not (tmp_path / "out/link").exists()


def test_absolute_names_stay_inside(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", ("/abs/a.txt", b"x"))
    extract_tar(path, tmp_path / "out", max_bytes=1000)
    assert (tmp_path / "out/abs/a.txt").read_text() == "x"


def test_damaged(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", ("a", bytes(range(256)) * 100))
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ValueError, match=r"a.tar.gz: cannot be unpacked .*download it anew"):
        extract_tar(path, tmp_path / "out", max_bytes=10**6)
    path.write_text("hello")
    with pytest.raises(ValueError, match="cannot be unpacked"):
        extract_tar(path, tmp_path / "out", max_bytes=10**6)
