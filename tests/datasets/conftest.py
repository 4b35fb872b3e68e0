"""Writers of files in published layouts, independent of what reads them."""

import struct

import numpy as np
import pytest


@pytest.fixture
def write_examples():
    """Writes a TFRecord file of ``tf.train.Example``s, each given as a dict of arrays."""

    def write(path, *examples):
        write_records(path, [example(**arrays) for arrays in examples])

    return write


def example(**arrays):
    entries = b""
    for name, values in arrays.items():
        strings = field(1, np.ascontiguousarray(values).tobytes())
        entries += field(1, field(1, name.encode()) + field(2, field(1, strings)))
    return field(1, entries)


def field(number, content):
    """A protobuf field of known length."""
    return bytes([number << 3 | 2]) + varint(len(content)) + content


def varint(value):
    groups = []
    while value >= 128:
        groups.append(value % 128 + 128)
        value //= 128
    return bytes([*groups, value])


def masked(data):
    """The checksum, bit by bit: slow, for short data."""
    remainder = 0xFFFFFFFF
    for byte in data:
        remainder ^= byte
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x82F63B78 if remainder & 1 else 0)
    remainder ^= 0xFFFFFFFF
    return struct.pack("<I", ((remainder >> 15 | remainder << 17) + 0xA282EAD8) % 2**32)


def write_records(path, payloads):
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for payload in payloads:
            size = struct.pack("<Q", len(payload))
            file.write(size + masked(size) + payload + masked(payload))
