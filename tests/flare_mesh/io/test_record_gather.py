import mmap
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_mesh.io.arrays import open_npy
from flare_mesh.io.record_gather import gather_records
from flare_mesh.io.row_reading import read_rows

PAGE = mmap.PAGESIZE


class RecordingMap(mmap.mmap):
    """A memory map that records its ``madvise`` calls."""

    advice: list

    def madvise(self, *advice):
        self.advice.append(advice)
        return super().madvise(*advice)


@pytest.fixture(scope="module")
def content():
    return np.random.default_rng(0).integers(0, 256, 160 * PAGE, dtype=np.uint8).tobytes()


@pytest.fixture(scope="module")
def mapping(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("pages") / "a"
    path.write_bytes(content)
    with path.open("rb") as file:
        mapping = RecordingMap(file.fileno(), 0, access=mmap.ACCESS_READ)
    mapping.advice = []
    return mapping


@settings(deadline=None)
@given(st.data())
def test_only_pages_with_records_are_requested(mapping, content, data):
    width = data.draw(st.integers(1, 2 * PAGE))
    addresses = data.draw(st.lists(st.integers(0, len(content) - width), max_size=12))
    mapping.advice.clear()
    records = gather_records(mapping, np.array(addresses, dtype=np.int64), width)
    assert [bytes(record) for record in records] == [content[a : a + width] for a in addresses]
    if not hasattr(mmap, "MADV_WILLNEED"):
        return
    needed = {page for a in addresses for page in range(a // PAGE, (a + width - 1) // PAGE + 1)}
    asked = [advice[1:] for advice in mapping.advice if advice[0] == mmap.MADV_WILLNEED]
    pages = [page for start, size in asked for page in range(start // PAGE, (start + size) // PAGE)]
    if not addresses or 8 * len(needed) > max(needed) + 1 - min(needed):
        assert mapping.advice == []
    else:
        assert pages == sorted(needed)
        assert mapping.advice[0] == (mmap.MADV_RANDOM,)
        assert mapping.advice[-1] == (mmap.MADV_NORMAL,)
        assert len(asked) == len(needed - {page + 1 for page in needed})


def test_records_outside_of_the_file(mapping, content):
    for address in (-1, len(content) - 3):
        with pytest.raises(ValueError, match="are outside a file of"):
            gather_records(mapping, np.array([0, address]), 4)


def bytes_read():
    """Bytes that this process has read from disks."""
    counters = Path("/proc/self/io")
    if not counters.is_file():
        pytest.skip("the system does not count the bytes read")
    return int(dict(line.split(": ") for line in counters.read_text().splitlines())["read_bytes"])


def forget(path):
    """Drop the file from the page cache."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def test_bytes_from_the_disk(tmp_path):
    path = tmp_path / "a.npy"
    array = np.arange(6_000_000, dtype="f4").reshape(-1, 3)
    np.save(path, array)
    rows = np.sort(np.random.default_rng(0).choice(len(array), 100, replace=False))
    bytes_read()
    forget(path)
    before = bytes_read()
    opened = np.asarray(open_npy(path))[rows]
    plain = bytes_read() - before
    if plain < 100 * PAGE:
        pytest.skip("the folder is not on a disk whose cache can be dropped")
    forget(path)
    before = bytes_read()
    np.testing.assert_array_equal(read_rows(open_npy(path), rows), opened)
    # A row may be on two pages; the header is on another.
    assert bytes_read() - before <= (2 * 150 + 32) * PAGE < plain / 2
