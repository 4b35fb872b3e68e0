"""Type of a block of vector registers, and the LLVM code of a step on such blocks."""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core.extending import models, register_model

from flare_mesh.compiled.processor import registers

ROWS = 4  # with two vectors: enough independent sums to hide the latency of multiply-add
_FLAGS = ("contract", "nsz", "arcp")  # as compiled.jit.FAST

# 2^f for |f| <= 1/2, highest power first; relative errors 7.5e-8 and 3e-18.
_POLYNOMIALS = {
    32: (
        0.0013276472631950876055, 0.0096755413431213273895, 0.055507132718556442019,
        0.24022119723710719626, 0.69314696706503521429, 1.0000000716547141446,
    ),
    64: (
        4.4352827069772571511e-10, 7.0741056135081427963e-9, 1.0178198021671930844e-7,
        1.321543308967639918e-6, 0.000015252733489988525649, 0.00015403530462514432062,
        0.0013333558146789921722, 0.0096181291075883352443, 0.055504108664819921605,
        0.24022650695910156204, 0.69314718055994533046, 0.9999999999999999971,
    ),
}  # fmt: skip
# Bits of the mantissa, bias of the exponent, and exponent below which a power counts as 0.
_FORMATS = {32: (23, 127, -100.0), 64: (52, 1023, -900.0)}


def shape(bits: int) -> tuple[int, int]:
    """Vectors V and lanes L of a block of numbers with so many bits."""
    size, count = registers()
    lanes = max(4, 8 * size // bits)
    return (4 if size == 16 and count == 32 else 2), lanes


def width(bits: int) -> int:
    """Columns V L of a block."""
    vectors, lanes = shape(bits)
    return vectors * lanes


class Block(types.Type):
    """Type of a block in compiled code."""

    def __init__(self, dtype: Any, vectors: int, lanes: int) -> None:
        self.dtype, self.vectors, self.lanes = dtype, vectors, lanes
        super().__init__(f"Block({dtype}, {vectors}, {lanes})")


@register_model(Block)
class _BlockModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Block) -> None:
        scalar = manager.lookup(kind.dtype).get_value_type()
        vector = ir.VectorType(scalar, kind.lanes)
        super().__init__(manager, kind, ir.ArrayType(vector, ROWS * kind.vectors))


INT = types.intp
"""Type of positions and counts."""


def block_of(array: Any) -> Block:
    """Type of the blocks of an array's numbers."""
    return Block(array.dtype, *shape(array.dtype.bitwidth))


class BlockCode:
    """LLVM code of a step on blocks of one type."""

    def __init__(self, context: Any, builder: Any, kind: Block) -> None:
        self.context, self.builder, self.kind = context, builder, kind
        self.bits = kind.dtype.bitwidth
        self.scalar = context.get_value_type(kind.dtype)
        self.vector = ir.VectorType(self.scalar, kind.lanes)
        self.integers = ir.VectorType(ir.IntType(self.bits), kind.lanes)

    def data(self, array_type: Any, array: Any) -> Any:
        """Pointer to the first element."""
        return self.context.make_array(array_type)(self.context, self.builder, value=array).data

    def load(self, data: Any, at: Any, kind: Any = None) -> Any:
        kind = kind or self.vector
        pointer = self.builder.gep(data, [at])
        pointer = self.builder.bitcast(pointer, kind.as_pointer())
        return self.builder.load(pointer, align=self.bits // 8)

    def store(self, value: Any, data: Any, at: Any) -> None:
        pointer = self.builder.gep(data, [at])
        pointer = self.builder.bitcast(pointer, value.type.as_pointer())
        self.builder.store(value, pointer, align=self.bits // 8)

    def integer(self, number: int) -> Any:
        return ir.Constant(self.context.get_value_type(INT), number)

    def constant(self, number: float) -> Any:
        return ir.Constant(self.vector, [number] * self.kind.lanes)

    def step(self, at: Any, number: int) -> Any:
        return self.builder.add(at, self.integer(number)) if number else at

    def columns(self, at: Any) -> list[Any]:
        """Positions of the vectors of a row that begins at ``at``."""
        return [self.step(at, v * self.kind.lanes) for v in range(self.kind.vectors)]

    def multiply(self, a: Any, b: Any) -> Any:
        return self.builder.fmul(a, b, flags=_FLAGS)

    def add(self, a: Any, b: Any) -> Any:
        return self.builder.fadd(a, b, flags=_FLAGS)

    def subtract(self, a: Any, b: Any) -> Any:
        return self.builder.fsub(a, b, flags=_FLAGS)

    def splat(self, scalar: Any, lanes: int = 0) -> Any:
        one = self.builder.insert_element(
            ir.Constant(self.vector, ir.Undefined), scalar, ir.Constant(ir.IntType(32), 0)
        )
        return self.shuffle(one, one, [0] * (lanes or self.kind.lanes))

    def shuffle(self, a: Any, b: Any, lanes: Sequence[int]) -> Any:
        mask = ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), list(lanes))
        return self.builder.shuffle_vector(a, b, mask)

    def unpack(self, block: Any) -> list[Any]:
        count = ROWS * self.kind.vectors
        return [self.builder.extract_value(block, i) for i in range(count)]

    def pack(self, vectors: Sequence[Any]) -> Any:
        block = ir.Constant(ir.ArrayType(self.vector, len(vectors)), ir.Undefined)
        for i, vector in enumerate(vectors):
            block = self.builder.insert_value(block, vector, i)
        return block

    def matrix(self, block: Any) -> list[list[Any]]:
        """The vectors of each row."""
        flat, count = self.unpack(block), self.kind.vectors
        return [flat[i : i + count] for i in range(0, len(flat), count)]

    def repeat(
        self, count: Any, state: Sequence[Any], body: Callable[..., Sequence[Any]], step: int = 1
    ) -> list[Any]:
        """State after ``body(index, state)`` for each index, 0 to ``count``, at least one."""
        builder = self.builder
        before, loop = builder.block, builder.append_basic_block("step")
        after = builder.append_basic_block("done")
        builder.branch(loop)
        builder.position_at_end(loop)
        index = builder.phi(count.type)
        index.add_incoming(self.integer(0), before)
        values = [builder.phi(value.type) for value in state]
        for phi, value in zip(values, state, strict=True):
            phi.add_incoming(value, before)
        results = list(body(index, values))
        following = self.step(index, step)
        index.add_incoming(following, builder.block)
        for phi, value in zip(values, results, strict=True):
            phi.add_incoming(value, builder.block)
        builder.cbranch(builder.icmp_signed("<", following, count), loop, after)
        builder.position_at_end(after)
        return results

    def sum_lanes(self, four: Sequence[Any]) -> Any:
        """Sums over the lanes of four vectors, as one vector of four."""
        groups = range(0, self.kind.lanes, 4)

        def pairs(a: Any, b: Any) -> Any:
            even = [g + i for g in groups for i in (0, 2, self.kind.lanes, self.kind.lanes + 2)]
            odd = [lane + 1 for lane in even]
            return self.add(self.shuffle(a, b, even), self.shuffle(a, b, odd))

        a, b, c, d = four
        total = pairs(pairs(a, b), pairs(c, d))
        lanes = self.kind.lanes
        while lanes > 4:
            lanes //= 2
            low = self.shuffle(total, total, range(lanes))
            high = self.shuffle(total, total, range(lanes, 2 * lanes))
            total = self.add(low, high)
        return total

    def power_of_two(self, x: Any, top: float) -> Any:
        """2^x with exponents up to ``top``, 0 for very small powers; NaN stays NaN.

        It is 2^n 2^f; n is rounded by a sum whose last bits are the biased exponent. Powers that
        products could take out of the range of normal numbers are 0: with others, a processor
        takes some hundred times as long.
        """
        mantissa, bias, lowest = _FORMATS[self.bits]
        low, high = self.constant(lowest), self.constant(top)
        below = self.builder.fcmp_ordered("<", x, low)
        x = self.builder.select(self.builder.fcmp_ordered(">", x, high), high, x)
        magic = self.constant(1.5 * 2.0**mantissa + bias)
        shifted = self.builder.fadd(x, magic)
        f = self.builder.fsub(x, self.builder.fsub(shifted, magic))
        first, *others = _POLYNOMIALS[self.bits]
        p = self.constant(first)
        for coefficient in others:
            p = self.add(self.multiply(p, f), self.constant(coefficient))
        shift = ir.Constant(self.integers, [mantissa] * self.kind.lanes)
        power = self.builder.shl(self.builder.bitcast(shifted, self.integers), shift)
        power = self.multiply(p, self.builder.bitcast(power, self.vector))
        return self.builder.select(below, self.constant(0.0), power)
