import gzip
import io
import stat
import tarfile
import zipfile

import pytest

from flare_mesh.io.archives import extract_tar, extract_zip


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
def test_extract_tar(tmp_path, mode):
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
        with pytest.raises(ValueError, match="cannot be extracted"):
            extract_tar(path, tmp_path / "out", max_bytes=1000)
    path.write_bytes(content[: ends + 1024])
    extract_tar(path, tmp_path / "out", max_bytes=1000)


def test_wrong_checksum(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", ("a", b"one"))
    content = path.read_bytes()
    path.write_bytes(content[:-8] + bytes([content[-8] ^ 1]) + content[-7:])
    with pytest.raises(ValueError, match="cannot be extracted"):
        extract_tar(path, tmp_path / "out", max_bytes=1000)


def test_size_limit_of_a_tar(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", ("a", b"x" * 10), ("b", b"x" * 10_000_000))
    with pytest.raises(ValueError, match="declares more than the limit of 1,000 bytes"):
        extract_tar(path, tmp_path / "out", max_bytes=1000)
    assert not (tmp_path / "out/b").exists()


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (("../evil.txt", b"x"), "cannot be extracted"),
        (("link", b"", tarfile.SYMTYPE, "/etc"), "'link' is neither a file nor a folder"),
        (("link", b"", tarfile.LNKTYPE, "other"), "'link' is neither a file nor a folder"),
        (("device", b"", tarfile.CHRTYPE, ""), "'device' is neither a file nor a folder"),
    ],
)
def test_refused_members_of_a_tar(tmp_path, member, message):
    path = write_tar(tmp_path / "a.tar.gz", member)
    with pytest.raises(ValueError, match=message):
        extract_tar(path, tmp_path / "out", max_bytes=1000)
    assert not (tmp_path / "evil.txt").exists()
    assert not (tmp_path / "out/link").exists()


def test_absolute_names_are_extracted_below_the_folder(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", ("/abs/a.txt", b"x"))
    extract_tar(path, tmp_path / "out", max_bytes=1000)
    assert (tmp_path / "out/abs/a.txt").read_text() == "x"


def test_damaged_tar(tmp_path):
    path = write_tar(tmp_path / "a.tar.gz", ("a", bytes(range(256)) * 100))
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(ValueError, match=r"a.tar.gz: cannot be extracted .*download it again"):
        extract_tar(path, tmp_path / "out", max_bytes=10**6)
    path.write_text("hello")
    with pytest.raises(ValueError, match="cannot be extracted"):
        extract_tar(path, tmp_path / "out", max_bytes=10**6)


def write_zip(path, members, mode=None):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            if mode is not None:
                info.external_attr = mode << 16
            file.writestr(info, content)
    return path


def test_extract_zip(tmp_path):
    path = write_zip(tmp_path / "a.zip", {"a/b.txt": "one", "c.txt": "two"})
    files = extract_zip(path, tmp_path / "out")
    assert [file.read_text() for file in files] == ["one", "two"]
    (tmp_path / "out/c.txt").write_text("mine"[:3])
    extract_zip(path, tmp_path / "out")
    assert (tmp_path / "out/c.txt").read_text() == "min"


@pytest.mark.parametrize("name", ["../out.txt", "/tmp/out.txt", "a/../../out.txt", "..\\out.txt"])
def test_names_outside_the_folder(tmp_path, name):
    path = write_zip(tmp_path / "a.zip", {"good.txt": "1", name: "2"})
    with pytest.raises(ValueError, match="is outside"):
        extract_zip(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_hostile_zips(tmp_path):
    bomb = write_zip(tmp_path / "bomb.zip", {"zeros": bytes(1 << 20)})
    with pytest.raises(ValueError, match="declares more than the limit of 1,000 bytes"):
        extract_zip(bomb, tmp_path / "out", max_bytes=1000)
    link = write_zip(tmp_path / "link.zip", {"link": "/etc/passwd"}, stat.S_IFLNK | 0o777)
    with pytest.raises(ValueError, match="is outside"):
        extract_zip(link, tmp_path / "out")
    (tmp_path / "cut.zip").write_bytes(bomb.read_bytes()[:-30])
    with pytest.raises(ValueError, match="not a whole zip"):
        extract_zip(tmp_path / "cut.zip", tmp_path / "out")


@pytest.mark.parametrize(
    ("signature", "offset", "value"),
    [
        (b"PK\x01\x02", 10, 99),  # unknown method
        (b"PK\x01\x02", 8, 1),  # encrypted
        (b"PK\x03\x04", 40, 0xFF),  # damaged content
        (b"PK\x01\x02", 20, 3),  # ends early
    ],
)
def test_damaged_zips(tmp_path, signature, offset, value):
    path = write_zip(tmp_path / "a.zip", {"a": bytes(range(200))})
    content = bytearray(path.read_bytes())
    content[content.index(signature) + offset] = value
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"a\.zip: not a whole zip .* download it again"):
        extract_zip(path, tmp_path / "out")
    assert path.exists()
