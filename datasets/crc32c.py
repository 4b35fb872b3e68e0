"""The checksum of TFRecord files."""

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL = 0x82F63B78  # Castagnoli's, bits reversed


def crc32c(data: Any) -> int:
    """CRC32C (RFC 3720) of anything that gives its bytes: 1.1 GB/s on one core.

    Args:
        data: Object with the buffer protocol, as bytes or a slice of a memory map.
    """
    update, tables = _compiled()
    return int(update(np.frombuffer(data, np.uint8), tables))


def masked_crc32c(data: Any) -> int:
    """CRC32C, rotated and shifted as TFRecord files store it."""
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


@cache
def _compiled() -> tuple[Callable[..., Any], NDArray[np.uint32]]:
    from numba import njit

    # tables[j][b]: what byte b does to the remainder when j more bytes follow it.
    tables = np.zeros((8, 256), np.uint32)
    tables[0] = np.arange(256)
    for _ in range(8):
        tables[0] = (tables[0] >> 1) ^ np.where(tables[0] & 1, _POLYNOMIAL, 0).astype(np.uint32)
    for j in range(1, 8):
        tables[j] = (tables[j - 1] >> 8) ^ tables[0][tables[j - 1] & 0xFF]
    try:
        return njit(nogil=True, cache=True)(_update), tables
    except RuntimeError:  # no writable folder for the cache
        return njit(nogil=True)(_update), tables


def _update(data, tables):
    crc = np.uint32(0xFFFFFFFF)
    whole = len(data) // 8 * 8
    for i in range(0, whole, 8):
        crc ^= (
            np.uint32(data[i])
            | np.uint32(data[i + 1]) << np.uint32(8)
            | np.uint32(data[i + 2]) << np.uint32(16)
            | np.uint32(data[i + 3]) << np.uint32(24)
        )
        crc = (
            tables[7, crc & 0xFF]
            ^ tables[6, (crc >> 8) & 0xFF]
            ^ tables[5, (crc >> 16) & 0xFF]
            ^ tables[4, crc >> 24]
            ^ tables[3, data[i + 4]]
            ^ tables[2, data[i + 5]]
            ^ tables[1, data[i + 6]]
            ^ tables[0, data[i + 7]]
        )
    for i in range(whole, len(data)):
        crc = tables[0, (crc ^ data[i]) & 0xFF] ^ (crc >> 8)
    return ~np.uint32(crc)
