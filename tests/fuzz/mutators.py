"""Mutations of the bytes of a file."""

import io
import re
import struct
import zipfile
from collections.abc import Callable
from random import Random

_NUMBER = re.compile(rb"(?<![\w.])[-+]?\d+(?:\.\d*)?(?:[eEdD][-+]?\d+)?(?![\w.])")
_NUMBERS = (
    *(b"0", b"-1", b"1", b"2", b"255", b"65536", b"2147483647", b"2147483648", b"4294967295"),
    *(b"9223372036854775807", b"1" * 40, b"1e400", b"-1e308", b"nan", b"inf", b"0.5", b"1e-400"),
)
_TEXTS = (
    *(b"../../../../etc/passwd", b"/dev/zero", b"[" * 5000, b"{" * 5000, b"<a>" * 2000, b"\x00"),
    *(b"&lol;", b"*INCLUDE, INPUT=/etc/passwd\n", b"!!python/object/apply:os.system [id]"),
    *(b"\xff\xfe", b"%n%s", b"${PATH}", b"__import__('os')", b'"', b"'", b"\\", b"A" * 70000),
)
_BINARY = tuple(
    struct.pack(order + kind, value)
    for order in "<>"
    for kind, values in (
        ("i", (-1, 0, 2**31 - 1)),
        ("q", (-1, 2**62)),
        ("d", (1e308, float("nan"))),
    )
    for value in values
)


def truncate(data: bytes, random: Random) -> bytes:
    """Cut the file at any byte."""
    return data[: random.randrange(len(data))] if data else data


def flip(data: bytes, random: Random) -> bytes:
    """Flip one to eight bits."""
    out = bytearray(data)
    for _ in range(random.randint(1, 8)):
        out[random.randrange(len(out))] ^= 1 << random.randrange(8)
    return bytes(out)


def overwrite(data: bytes, random: Random) -> bytes:
    """Overwrite some bytes by numbers at the limits of their types."""
    at, new = random.randrange(len(data)), random.choice(_BINARY)
    at -= at % random.choice((1, 4, 8))
    return data[:at] + new + data[at + len(new) :]


def remove(data: bytes, random: Random) -> bytes:
    """Remove a chunk."""
    at = random.randrange(len(data))
    return data[:at] + data[at + random.randint(1, max(1, len(data) // 8)) :]


def repeat(data: bytes, random: Random) -> bytes:
    """Repeat a chunk."""
    at = random.randrange(len(data))
    chunk = data[at : at + random.randint(1, max(1, len(data) // 8))]
    return data[:at] + chunk * random.randint(2, 4) + data[at:]


def number(data: bytes, random: Random) -> bytes:
    """Replace a number in the text."""
    found = list(_NUMBER.finditer(data))
    if not found:
        return overwrite(data, random)
    chosen = random.choice(found)
    return data[: chosen.start()] + random.choice(_NUMBERS) + data[chosen.end() :]


def text(data: bytes, random: Random) -> bytes:
    """Insert a hostile text, or put it in place of a word."""
    at = random.randrange(len(data))
    end = at
    while random.random() < 0.9 and end < len(data) and data[end : end + 1].isalnum():
        end += 1
    return data[:at] + random.choice(_TEXTS) + data[end:]


def lines(data: bytes, random: Random) -> bytes:
    """Remove, repeat or exchange lines."""
    rows = data.split(b"\n")
    one, other = random.randrange(len(rows)), random.randrange(len(rows))
    kind = random.randrange(3)
    if kind == 0:
        del rows[one]
    elif kind == 1:
        rows.insert(other, rows[one])
    else:
        rows[one], rows[other] = rows[other], rows[one]
    return b"\n".join(rows)


def splice(data: bytes, random: Random) -> bytes:
    """The beginning of the file, and its end from another place."""
    return data[: random.randrange(len(data))] + data[random.randrange(len(data)) :]


MUTATORS: tuple[Callable[[bytes, Random], bytes], ...] = (
    *(truncate, flip, overwrite, remove, repeat, number, number, text, lines, splice),
)
"""The mutations; ``number`` counts twice, since most formats declare sizes."""


def mutate(data: bytes, random: Random) -> tuple[str, bytes]:
    """Apply a mutation, for zip archives also to one of their members.

    Returns:
        The name of the mutation, and the new bytes.
    """
    chosen = random.choice(MUTATORS)
    if not data:
        return "text", random.choice(_TEXTS)
    if data.startswith(b"PK\x03\x04") and random.random() < 0.7:
        try:
            return f"member {chosen.__name__}", _in_member(data, chosen, random)
        except Exception:  # an earlier mutation broke the archive: errors of a dozen types
            pass
    return chosen.__name__, chosen(data, random)


def _in_member(data: bytes, mutator: Callable[[bytes, Random], bytes], random: Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {info: archive.read(info) for info in archive.infolist()}
    victim = random.choice([info for info, content in members.items() if content] or [*members])
    if members[victim]:
        members[victim] = mutator(members[victim], random)
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for info, content in members.items():
            archive.writestr(info, content)
    return out.getvalue()
