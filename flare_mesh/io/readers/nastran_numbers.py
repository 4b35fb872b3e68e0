"""Numbers as Nastran writes them."""

import re

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.readers.nastran_cards import Cards

_REAL = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)(?:[ED]?[+-]?\d+)?")
# 1.5-3 is 1.5E-3.
_SHORT_EXPONENT = re.compile(rb"(?<=[0-9.])(?=[+-])")
_MAX_DIGITS = 18


def integers(cards: Cards, columns: slice, default: int = 0) -> NDArray[np.int64]:
    """Fields as whole numbers, [cards, columns]; blanks are ``default``.

    Raises:
        ValueError: If a field is something else.
    """
    fields = cards.fields[:, columns]
    width = fields.dtype.itemsize
    letters = fields.view(np.uint8).reshape(*fields.shape, width)
    sign = (letters[..., 0] == ord("-")) | (letters[..., 0] == ord("+"))
    negative = letters[..., 0] == ord("-")
    value = np.zeros(fields.shape, np.int64)
    digits = np.zeros(fields.shape, np.uint8)
    bad = np.zeros(fields.shape, dtype=bool)
    for place in range(width):
        letter = letters[..., place]
        inside = letter != 0
        if not inside.any():
            break
        if place == 0:
            inside &= ~sign
        bad |= inside & ((letter < ord("0")) | (letter > ord("9")))
        digits += inside
        value = np.where(inside, value * 10 + letter - ord("0"), value)
    blank = fields == b""
    bad |= (digits > _MAX_DIGITS) | (digits == 0) & ~blank
    if bad.any():
        raise _error(cards, columns, bad, "a whole number")
    value[negative] *= -1
    value[blank] = default
    return value


def reals(cards: Cards, columns: slice) -> NDArray[np.float64]:
    """Fields as real numbers, [cards, columns]; blanks are 0.

    Raises:
        ValueError: If a field is something else.
    """
    fields = cards.fields[:, columns]
    if not fields.size:
        return np.zeros(fields.shape)
    words = np.where(fields == b"", b"0", fields).ravel().tolist()
    text = b" ".join(words)
    if b"D" in text:
        text = text.replace(b"D", b"E")
    text = _SHORT_EXPONENT.sub(b"E", text)
    try:
        # Python also reads nan, inf and 1_000.
        parts = text.split(b" ")
        if re.search(rb"[^0-9.E+\- ]", text) or len(parts) != len(words):
            raise ValueError
        values = np.array(parts, dtype=np.float64)
    except ValueError:
        bad = np.array([_REAL.fullmatch(word) is None for word in words]).reshape(fields.shape)
        raise _error(cards, columns, bad, "a real number") from None
    values = values.reshape(fields.shape)
    if not np.isfinite(values).all():
        raise _error(cards, columns, ~np.isfinite(values), "a number below 1.8E+308")
    return values


def _error(cards: Cards, columns: slice, bad: NDArray[np.bool_], expected: str) -> ValueError:
    row, column = np.argwhere(bad)[0]
    field = int(column) + (columns.start or 0)
    got = cards.fields[row, field].decode("latin-1")
    return ValueError(
        f"line {cards.lines[row]}: expected {expected} in field {field + 2} of {cards.name} "
        f"(got '{got}')"
    )
