"""Pickles of lists, dictionaries, numbers and arrays of numbers, read without executing them."""

import math
import mmap
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import clip
from flare_mesh.files import existing_file
from flare_mesh.io.arrays import MAX_BYTES

_MAX_VALUES = 40_000_000  # of about 100 bytes each
_MULTIARRAY = ("numpy.core.multiarray", "numpy._core.multiarray")
_NUMERIC = ("numpy.core.numeric", "numpy._core.numeric")
_NAMES = {
    **{(module, "_reconstruct"): "new array" for module in _MULTIARRAY},
    **{(module, "scalar"): "scalar" for module in _MULTIARRAY},
    **{(module, "_frombuffer"): "array" for module in _NUMERIC},
    ("numpy", "ndarray"): "ndarray",
    ("numpy", "dtype"): "dtype",
    ("_codecs", "encode"): "encode",
    ("__builtin__", "bytes"): "bytes",
}
_NUMBERS = re.compile(r"[<>|=]?(b1|[iu][1248]|f[248])")


class _Name(str):
    """A name that a pickle asks for, which stays a name."""


class _Type:
    dtype: np.dtype[Any]


class PickledArray:
    """An array of a pickle; ``values`` is None until the pickle gave its content."""

    values: NDArray[Any] | None = None


def read_plain_pickle(path: str | Path, *, max_bytes: int = MAX_BYTES) -> Any:
    """Read a pickle of plain values by an interpreter of its own.

    Nothing is imported or called, whatever the file asks for: only lists, tuples, dictionaries
    with text as keys, texts, bytes, numbers, None and NumPy's arrays of numbers
    (:class:`PickledArray`) are made. Protocols 2 to 5.

    Args:
        path: The file.
        max_bytes: Limit of its size.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If it asks for anything else, is truncated or damaged, or is too large.
    """
    path = existing_file(path)
    size = path.stat().st_size
    if size > max_bytes:
        raise ValueError(
            f"{path}: expected at most {max_bytes:,} bytes (got {size:,}); if the file is to be "
            f"trusted, raise max_bytes"
        )
    if not size:
        raise ValueError(f"{path}: empty; expected a pickle")
    with path.open("rb") as file:
        content = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    try:
        return _Interpreter(content).run()
    except ValueError as error:
        raise ValueError(f"{path}: {clip(error)}; get the file again, or convert it") from None
    except (LookupError, TypeError, AttributeError, struct.error, ArithmeticError) as error:
        raise ValueError(
            f"{path}: not a whole pickle of plain values ({type(error).__name__}); get it again"
        ) from None


class _Interpreter:
    """The stack machine of pickles, without the instructions that could run code."""

    def __init__(self, content: memoryview) -> None:
        self.content, self.at, self.made = content, 0, 0
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self) -> Any:
        content, table = self.content, _INSTRUCTIONS
        while True:
            if self.at >= len(content):
                raise ValueError("the file ends within the pickle")
            code = content[self.at]
            self.at += 1
            if code == 0x2E:  # STOP
                (result,) = self.stack
                return result
            step = table.get(code)
            if step is None:
                raise ValueError(
                    f"the instruction {bytes([code])!r} is not one of plain values in protocols 2 "
                    f"to 5"
                )
            step(self)

    def push(self, value: Any) -> None:
        self.made += 1
        if self.made > _MAX_VALUES:
            raise ValueError(f"expected at most {_MAX_VALUES:,} values (got more)")
        self.stack.append(value)

    def number(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self.content, self.at)
        self.at += struct.calcsize(form)
        return value

    def take(self, form: str) -> memoryview:
        """The bytes of which the number comes first."""
        size = self.number(form)
        if not 0 <= size <= len(self.content) - self.at:
            raise ValueError("the file ends within a value")
        self.at += size
        return self.content[self.at - size : self.at]

    def line(self) -> str:
        end = bytes(self.content[self.at : self.at + 256]).index(b"\n")
        text = str(self.content[self.at : self.at + end], "utf-8")
        self.at += end + 1
        return text

    def since_mark(self) -> list[Any]:
        start = self.marks.pop()
        values = self.stack[start:]
        del self.stack[start:]
        return values

    def last(self, kind: type) -> Any:
        value = self.stack[-1]
        if type(value) is not kind:
            raise ValueError(f"expected a {kind.__name__} (got {type(value).__name__})")
        return value

    def set_items(self, pairs: list[Any]) -> None:
        target = self.last(dict)
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            if type(key) is not str:
                raise ValueError(f"expected text as keys (got {type(key).__name__})")
            target[key] = value

    def name(self, module: Any, name: Any) -> None:
        found = _NAMES.get((module, name)) if type(module) is type(name) is str else None
        if found is None:
            raise ValueError(
                f"asks for '{clip(module, 60)}.{clip(name, 60)}', and only lists, dictionaries, "
                f"numbers, texts and arrays of numbers are read; a data set has no need of it, so "
                f"do not open the file by other means"
            )
        self.push(_Name(found))

    def tuple_of(self, count: int) -> None:
        values = tuple(self.stack[len(self.stack) - count :])
        if len(values) < count:
            raise ValueError("a value is missing")
        del self.stack[-count:]
        self.push(values)

    def reduce(self) -> None:
        values, name = self.stack.pop(), self.stack.pop()
        if type(name) is not _Name or type(values) is not tuple:
            raise ValueError("calls something that is no array or type of numbers")
        made = _MAKERS.get(name)
        if made is None:
            raise ValueError(f"calls '{name}'")
        self.push(made(*values))

    def build(self) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if type(state) is not tuple:
            raise ValueError("gives an object a state that no array has")
        if type(target) is _Type:
            order = state[1]
            if order not in ("<", ">", "|", "="):
                raise ValueError("a type of numbers has an unknown order of bytes")
            target.dtype = target.dtype.newbyteorder(order)
        elif type(target) is PickledArray:
            shape, kind, fortran, content = state[-4:]
            target.values = _array(content, kind, shape, "F" if fortran else "C")
        else:
            raise ValueError(f"gives a {type(target).__name__} a state")


def _array(content: Any, kind: Any, shape: Any, order: Any) -> NDArray[Any]:
    if type(kind) is not _Type:
        raise ValueError("an array has no type of numbers")
    if not isinstance(content, bytes | memoryview):
        raise ValueError(f"an array has {type(content).__name__} as content; expected bytes")
    sizes = tuple(shape)
    if not all(type(size) is int and size >= 0 for size in sizes) or order not in ("C", "F"):
        raise ValueError("an array has no valid shape")
    if math.prod(sizes) * kind.dtype.itemsize != len(content):
        raise ValueError(f"an array of shape {list(sizes)} has {len(content):,} bytes")
    return np.frombuffer(content, kind.dtype).reshape(sizes, order=order)


def _make_type(name: Any, *_: Any) -> _Type:
    if type(name) is not str or not _NUMBERS.fullmatch(name):
        raise ValueError(f"an array holds '{clip(name, 40)}'; expected real numbers")
    made = _Type()
    made.dtype = np.dtype(name)
    return made


def _make_array(*_: Any) -> PickledArray:
    return PickledArray()


def _make_whole(content: Any, kind: Any, shape: Any, order: Any) -> PickledArray:
    made = PickledArray()
    made.values = _array(content, kind, shape, order)
    return made


def _make_scalar(kind: Any, content: Any) -> float:
    return _array(content, kind, (), "C").item()


def _make_bytes(text: Any, encoding: Any) -> bytes:
    if type(text) is not str or encoding not in ("latin1", "latin-1"):
        raise ValueError("encodes something else than bytes")
    return text.encode("latin-1")


def _make_no_bytes() -> bytes:
    return b""


_MAKERS: dict[str, Callable[..., Any]] = {
    "dtype": _make_type,
    "new array": _make_array,
    "array": _make_whole,
    "scalar": _make_scalar,
    "encode": _make_bytes,
    "bytes": _make_no_bytes,
}


def _text(form: str) -> Callable[[_Interpreter], None]:
    return lambda m: m.push(str(m.take(form), "utf-8", "surrogatepass"))


def _long(machine: _Interpreter) -> None:
    content = machine.take("<B")
    if len(content) > 16:
        raise ValueError("an integer of more than 16 bytes")
    machine.push(int.from_bytes(content, "little", signed=True))


def _memoize(machine: _Interpreter, place: int) -> None:
    machine.memo[place] = machine.stack[-1]


def _append(machine: _Interpreter, values: list[Any]) -> None:
    machine.last(list).extend(values)


def _stack_name(machine: _Interpreter) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    machine.name(module, name)


def _set_item(machine: _Interpreter) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.set_items([key, value])


_INSTRUCTIONS: dict[int, Callable[[_Interpreter], Any]] = {
    code[0]: step
    for code, step in {
        b"\x80": lambda m: m.number("<B"),  # protocol
        b"\x95": lambda m: m.number("<Q"),  # frame
        b"(": lambda m: m.marks.append(len(m.stack)),
        b"1": lambda m: m.since_mark(),
        b"0": lambda m: m.stack.pop(),
        b"N": lambda m: m.push(None),
        b"\x88": lambda m: m.push(True),
        b"\x89": lambda m: m.push(False),
        b"J": lambda m: m.push(m.number("<i")),
        b"K": lambda m: m.push(m.number("<B")),
        b"M": lambda m: m.push(m.number("<H")),
        b"\x8a": _long,
        b"G": lambda m: m.push(m.number(">d")),
        b"X": _text("<I"),
        b"\x8c": _text("<B"),
        b"\x8d": _text("<Q"),
        b"B": lambda m: m.push(m.take("<I")),
        b"C": lambda m: m.push(m.take("<B")),
        b"\x8e": lambda m: m.push(m.take("<Q")),
        b"\x96": lambda m: m.push(m.take("<Q")),
        b"]": lambda m: m.push([]),
        b"a": lambda m: _append(m, [m.stack.pop()]),
        b"e": lambda m: _append(m, m.since_mark()),
        b")": lambda m: m.push(()),
        b"t": lambda m: m.push(tuple(m.since_mark())),
        b"\x85": lambda m: m.tuple_of(1),
        b"\x86": lambda m: m.tuple_of(2),
        b"\x87": lambda m: m.tuple_of(3),
        b"}": lambda m: m.push({}),
        b"s": _set_item,
        b"u": lambda m: m.set_items(m.since_mark()),
        b"q": lambda m: _memoize(m, m.number("<B")),
        b"r": lambda m: _memoize(m, m.number("<I")),
        b"\x94": lambda m: _memoize(m, len(m.memo)),
        b"h": lambda m: m.push(m.memo[m.number("<B")]),
        b"j": lambda m: m.push(m.memo[m.number("<I")]),
        b"c": lambda m: m.name(m.line(), m.line()),
        b"\x93": _stack_name,
        b"R": lambda m: m.reduce(),
        b"b": lambda m: m.build(),
    }.items()
}
