"""Blocks of vector registers for compiled loops.

LLVM vectorises plain loops one at a time, with every intermediate result in memory. A
:class:`Block` is a matrix of :data:`ROWS` x V vector registers of L lanes that stays in registers
from one step of a loop to the next, for example the scores of four nodes with V L latents. Each
function below is one such step. Arrays are flat, and positions are counted in elements.
"""

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, extending
from numba.core.extending import models, register_model

from flare_mesh.compiled.processor import registers

intrinsic: Any = extending.intrinsic  # calls omit the first parameter, the context

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
_FORMATS = {32: (23, 127), 64: (52, 1023)}  # bits of the mantissa, bias of the exponent


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


_Rows = types.UniTuple(types.intp, ROWS)
_Int = types.intp


def _block_of(array: Any) -> Block:
    return Block(array.dtype, *shape(array.dtype.bitwidth))


class _Code:
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
        return ir.Constant(self.context.get_value_type(_Int), number)

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


def _clamp_exponents(code: _Code, x: Any, top: float) -> Any:
    """x between the lowest exponent and ``top``; passes NaN."""
    low, high = code.constant(1.0 - _FORMATS[code.bits][1]), code.constant(top)
    x = code.builder.select(code.builder.fcmp_ordered("<", x, low), low, x)
    return code.builder.select(code.builder.fcmp_ordered(">", x, high), high, x)


def _exp2(code: _Code, x: Any) -> Any:
    """2^n 2^f; n is rounded by a sum whose last bits are the biased exponent."""
    mantissa, bias = _FORMATS[code.bits]
    magic = code.constant(1.5 * 2.0**mantissa + bias)
    shifted = code.builder.fadd(x, magic)
    f = code.builder.fsub(x, code.builder.fsub(shifted, magic))
    first, *others = _POLYNOMIALS[code.bits]
    p = code.constant(first)
    for coefficient in others:
        p = code.add(code.multiply(p, f), code.constant(coefficient))
    shift = ir.Constant(code.integers, [mantissa] * code.kind.lanes)
    power = code.builder.shl(code.builder.bitcast(shifted, code.integers), shift)
    return code.multiply(p, code.builder.bitcast(power, code.vector))


@intrinsic
def columns(context, array):
    """Columns of a block of the array's dtype."""
    count = width(array.dtype.bitwidth)

    def generate(context, builder, signature, arguments):
        return context.get_constant(_Int, count)

    return _Int(array), generate


@intrinsic
def differences(context, rows, row_at, values, at):
    """Block rows[row_at + j] - values[at + column]."""
    kind = _block_of(rows)

    def generate(context, builder, signature, arguments):
        code = _Code(context, builder, kind)
        rows, row_at, values, at = arguments
        rows = code.data(signature.args[0], rows)
        values = code.data(signature.args[2], values)
        vectors = [code.load(values, c) for c in code.columns(at)]
        return code.pack(
            [
                code.subtract(code.splat(code.load(rows, code.step(row_at, j), code.scalar)), v)
                for j in range(ROWS)
                for v in vectors
            ]
        )

    return kind(rows, _Int, values, _Int), generate


@intrinsic
def add_products(context, block, rows, row_at, matrix, at, stride, count):
    """block[j, column] + sum over d of rows[row_at[j] + d] matrix[at + d stride + column]."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = _Code(context, builder, kind)
        block, rows, row_at, matrix, at, stride, count = arguments
        rows = code.data(signature.args[1], rows)
        matrix = code.data(signature.args[3], matrix)
        starts = [builder.extract_value(row_at, j) for j in range(ROWS)]

        def body(d, sums):
            place = builder.add(at, builder.mul(d, stride))
            vectors = [code.load(matrix, c) for c in code.columns(place)]
            results = []
            for j, start in enumerate(starts):
                factor = code.splat(code.load(rows, builder.add(start, d), code.scalar))
                for v, vector in enumerate(vectors):
                    product = code.multiply(factor, vector)
                    results.append(code.add(product, sums[j * kind.vectors + v]))
            return results

        return code.pack(code.repeat(count, code.unpack(block), body))

    return kind(block, rows, _Rows, matrix, _Int, _Int, _Int), generate


@intrinsic
def scatter_products(context, block, rows, row_at, matrix, at, stride, count):
    """matrix[at + d stride + column] += sum over j of rows[row_at[j] + d] block[j, column]."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = _Code(context, builder, kind)
        block, rows, row_at, matrix, at, stride, count = arguments
        rows = code.data(signature.args[1], rows)
        matrix = code.data(signature.args[3], matrix)
        starts = [builder.extract_value(row_at, j) for j in range(ROWS)]
        parts = code.matrix(block)

        def body(d, _):
            places = code.columns(builder.add(at, builder.mul(d, stride)))
            factors = [code.splat(code.load(rows, builder.add(s, d), code.scalar)) for s in starts]
            for v, place in enumerate(places):
                total = code.load(matrix, place)
                for j, factor in enumerate(factors):
                    total = code.add(code.multiply(factor, parts[j][v]), total)
                code.store(total, matrix, place)
            return []

        code.repeat(count, [], body)
        return context.get_dummy_value()

    return types.void(block, rows, _Rows, matrix, _Int, _Int, _Int), generate


@intrinsic
def scatter_rows(context, block, sums, at):
    """sums[at + column] += sum over j of block[j, column]."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = _Code(context, builder, kind)
        block, sums, at = arguments
        sums = code.data(signature.args[1], sums)
        (a, b, c, d), places = code.matrix(block), code.columns(at)
        for v, place in enumerate(places):
            added = code.add(code.add(a[v], b[v]), code.add(c[v], d[v]))
            code.store(code.add(code.load(sums, place), added), sums, place)
        return context.get_dummy_value()

    return types.void(block, sums, _Int), generate


@intrinsic
def store(context, block, tile, at, stride):
    """tile[at + j stride + column] = block[j, column]."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = _Code(context, builder, kind)
        block, tile, at, stride = arguments
        tile = code.data(signature.args[1], tile)
        for vectors in code.matrix(block):
            for vector, place in zip(vectors, code.columns(at), strict=True):
                code.store(vector, tile, place)
            at = builder.add(at, stride)
        return context.get_dummy_value()

    return types.void(block, tile, _Int, _Int), generate


def _elementwise(operation: Callable[[_Code, Any, Any], Any], what: str) -> Any:
    def step(context, first, second):
        kind = first

        def generate(context, builder, signature, arguments):
            code = _Code(context, builder, kind)
            pairs = zip(*(code.unpack(block) for block in arguments), strict=True)
            return code.pack([operation(code, a, b) for a, b in pairs])

        return kind(first, second), generate

    step.__doc__ = f"{what} of two blocks, element by element."
    return intrinsic(step)


multiply = _elementwise(_Code.multiply, "Product")
add = _elementwise(_Code.add, "Sum")


@intrinsic
def powers(context, block, top):
    """2^block with exponents clamped to ``top``, a literal; NaN stays NaN."""
    if not isinstance(top, types.IntegerLiteral):
        return None
    kind, limit = block, float(top.literal_value)

    def generate(context, builder, signature, arguments):
        code = _Code(context, builder, kind)
        vectors = code.unpack(arguments[0])
        return code.pack([_exp2(code, _clamp_exponents(code, x, limit)) for x in vectors])

    return kind(block, top), generate


@intrinsic
def exceeds(context, block, limit):
    """Whether any element is greater than ``limit``; a column with NaN gives either answer."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = _Code(context, builder, kind)
        rows, limit = code.matrix(arguments[0]), code.splat(arguments[1])
        above = None
        for highest, *others in zip(*rows, strict=True):
            for vector in others:
                higher = builder.fcmp_ordered(">", vector, highest)
                highest = builder.select(higher, vector, highest)
            # Unordered: true for NaN. A NaN that a maximum dropped is in the same column.
            found = builder.fcmp_unordered(">", highest, limit)
            above = found if above is None else builder.or_(above, found)
        bits = builder.bitcast(above, ir.IntType(kind.lanes))
        return builder.icmp_unsigned("!=", bits, ir.Constant(bits.type, 0))

    return types.boolean(block, kind.dtype), generate


@intrinsic
def zeros(context, array):
    """Block of zeros, of the array's dtype."""
    kind = _block_of(array)

    def generate(context, builder, signature, arguments):
        code = _Code(context, builder, kind)
        return code.pack([code.constant(0.0)] * (ROWS * kind.vectors))

    return kind(array), generate


@intrinsic
def prefetch(context, array, row_at, distance):
    """Load array[row_at[j] + distance] into the cache; it may lie beyond the array's end."""

    def generate(context, builder, signature, arguments):
        code = _Code(context, builder, _block_of(signature.args[0]))
        array, row_at, distance = arguments
        data = code.data(signature.args[0], array)
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        for j in range(ROWS):
            place = builder.add(builder.extract_value(row_at, j), distance)
            pointer = builder.bitcast(builder.gep(data, [place]), byte)
            options = [ir.Constant(number, value) for value in (0, 3, 1)]  # read, keep, data
            builder.call(function, [pointer, *options])
        return context.get_dummy_value()

    return types.void(array, _Rows, _Int), generate


@intrinsic
def store_row_sums(context, block, out, at):
    """out[at + j] = sum over the columns of block[j]."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = _Code(context, builder, kind)
        block, out, at = arguments
        rows = []
        for first, *others in code.matrix(block):
            for vector in others:
                first = code.add(first, vector)
            rows.append(first)
        code.store(code.sum_lanes(rows), code.data(signature.args[1], out), at)
        return context.get_dummy_value()

    return types.void(block, out, _Int), generate


@intrinsic
def store_products(context, tile, length, matrix, at, stride, count, factors, out, row_at):
    """out[row_at[j] + d] = factors[j] sum over c of tile[j length + c] matrix[at + d stride + c].

    For ``count`` rows d of the matrix, a multiple of four. Of rows with equal positions, the
    result of the first is stored.
    """
    kind = _block_of(tile)

    def generate(context, builder, signature, arguments):
        code = _Code(context, builder, kind)
        tile, length, matrix, at, stride, count, factors, out, row_at = arguments
        tile, matrix = code.data(signature.args[0], tile), code.data(signature.args[2], matrix)
        factors, out = code.data(signature.args[6], factors), code.data(signature.args[7], out)
        starts = [builder.mul(length, code.integer(j)) for j in range(ROWS)]

        def four_channels(d, _):
            places = [builder.add(at, builder.mul(code.step(d, e), stride)) for e in range(4)]
            for pair in ((3, 2), (1, 0)):  # eight sums at a time

                def add_columns(c, sums, pair=pair):
                    rows = [code.load(tile, builder.add(starts[j], c)) for j in pair]
                    results = []
                    for e, place in enumerate(places):
                        vector = code.load(matrix, builder.add(place, c))
                        for i, row in enumerate(rows):
                            results.append(code.add(code.multiply(row, vector), sums[2 * e + i]))
                    return results

                sums = code.repeat(length, [code.constant(0.0)] * 8, add_columns, kind.lanes)
                for i, j in enumerate(pair):
                    four = code.sum_lanes(sums[i::2])
                    factor = code.splat(code.load(factors, code.integer(j), code.scalar), 4)
                    place = builder.add(builder.extract_value(row_at, j), d)
                    code.store(code.multiply(four, factor), out, place)
            return []

        code.repeat(count, [], four_channels, 4)
        return context.get_dummy_value()

    return types.void(tile, _Int, matrix, _Int, _Int, _Int, factors, out, _Rows), generate
