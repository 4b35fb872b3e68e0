"""TFRecord files without TensorFlow."""

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from flare_mesh.files import existing_file
from flare_mesh.io.array_cache import cached_npy

_HEAD, _TAIL = 12, 4


class TFRecordFile:
    """Random access to the records of a memory-mapped TFRecord file.

    A record is its length (8 bytes), the masked CRC32C of the length (4 bytes), its payload, and
    the masked CRC32C of the payload (4 bytes). The positions of the records are cached in
    ``processed``, so a record, or a part of it, costs one read. The checksum of a payload is
    verified at the first access; the result is cached, too.

    Args:
        path: The file.
        processed: Folder of the cached index.

    Raises:
        FileNotFoundError: If the file does not exist.
        ValueError: If it is empty, or a length is damaged or reaches beyond the file; on access,
            if a payload is damaged. The message names the record.
    """

    def __init__(self, path: str | Path, processed: str | Path) -> None:
        self.path = existing_file(path)
        self.processed = Path(processed)
        if not self.path.stat().st_size:
            raise ValueError(f"{self.path}: empty; expected TFRecords")
        self._open()

    def _open(self) -> None:
        with self.path.open("rb") as file:
            self._mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        # Start and length of each payload, and whether its checksum was verified.
        self._index: NDArray[np.int64] = self._check_index(
            cached_npy(self.processed / f"{self.path.stem}-records.npy", [self.path], self._scan)
        )
        if isinstance(self._index, np.memmap):
            path = str(self._index.filename)
            try:  # processes share the results of checksums
                self._index = np.load(path, mmap_mode="r+", allow_pickle=False)
            except OSError:
                self._index = np.array(self._index)

    def __getstate__(self) -> dict[str, Any]:
        return {"path": self.path, "processed": self.processed}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._open()

    def __len__(self) -> int:
        return len(self._index)

    def __getitem__(self, number: int) -> memoryview:
        """Payload of a record, as a view of the file."""
        start, size, checked = (int(value) for value in self._index[number])
        payload = memoryview(self._mapped)[start : start + size]
        if not checked:
            if _masked_crc32c(bytes(payload)) != self._uint32(start + size):
                raise ValueError(
                    f"{self.path}, record {number}: wrong checksum of its {size:,} bytes; the "
                    f"file is damaged, download it again"
                )
            self._index[number, 2] = 1
        return payload

    def _scan(self) -> NDArray[np.int64]:
        places, at, end = [], 0, len(self._mapped)
        while at < end:
            name = f"{self.path}, record {len(places)}"
            if at + _HEAD > end:
                raise ValueError(f"{name}: the file ends within its length; download it again")
            (size,) = struct.unpack_from("<Q", self._mapped, at)
            if _masked_crc32c(self._mapped[at : at + 8]) != self._uint32(at + 8):
                raise ValueError(
                    f"{name}: wrong checksum of its length; not a TFRecord file, or a damaged one"
                )
            if size > end - at - _HEAD - _TAIL:
                raise ValueError(
                    f"{name}: declares {size:,} bytes, but the file ends after "
                    f"{max(0, end - at - _HEAD - _TAIL):,}; it is truncated, download it again"
                )
            places.append((at + _HEAD, size, 0))
            at += _HEAD + size + _TAIL
        return np.array(places, dtype=np.int64)

    def _check_index(self, index: NDArray[Any]) -> NDArray[Any]:
        if index.dtype == np.int64 and index.ndim == 2 and index.shape[1] == 3 and len(index):
            starts, sizes = index[:, 0], index[:, 1]
            ends = starts + sizes + _TAIL + _HEAD
            joined = starts[0] == _HEAD and (ends[:-1] == starts[1:]).all()
            if joined and (sizes >= 0).all() and ends[-1] == len(self._mapped) + _HEAD:
                return index
        raise ValueError(
            f"{self.processed}: the cached index of {self.path} is damaged; remove this folder, "
            f"the index is made again"
        )

    def _uint32(self, at: int) -> int:
        return struct.unpack_from("<I", self._mapped, at)[0]


def _masked_crc32c(data: bytes) -> int:
    """CRC32C, rotated and shifted as TFRecord files store it."""
    crc = google_crc32c.value(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def parse_example(payload: memoryview) -> dict[str, memoryview]:
    """Features of a ``tf.train.Example`` that are one byte string, as views, by name.

    Features of numbers (``Int64List``, ``FloatList``) and of several strings are left out.

    Raises:
        ValueError: If the payload is not a ``tf.train.Example``.
    """
    features = {}
    for field, features_at in _fields(payload):
        for entry, entry_at in _fields(features_at) if field == 1 else ():
            parts = dict(_fields(entry_at)) if entry == 1 else {}
            values = list(_fields(dict(_fields(parts[2])).get(1, _EMPTY))) if 2 in parts else []
            if 1 in parts and len(values) == 1 and values[0][0] == 1:
                features[str(parts[1], "utf-8")] = values[0][1]
    return features


_EMPTY = memoryview(b"")


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each length-delimited field of a protobuf message."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        kind = key & 7
        if kind == 0:
            _, at = _varint(message, at)
            continue
        if kind == 2:
            size, at = _varint(message, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
        else:
            raise ValueError(f"not a tf.train.Example: field of kind {kind}")
        if size > len(message) - at:
            raise ValueError("not a tf.train.Example: a field reaches beyond its message")
        if kind == 2:
            yield key >> 3, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(message):
            break
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("not a tf.train.Example: a number has no end")
