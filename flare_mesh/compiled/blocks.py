"""Steps on blocks of vector registers, for compiled loops.

LLVM vectorises plain loops one at a time, with every intermediate result in memory. A
:class:`~flare_mesh.compiled.block_code.Block` is a matrix of :data:`ROWS` x V vector registers of L
lanes that stays in registers from one step of a loop to the next, for example the scores of four
nodes with V L latents. Each function below is one such step. Arrays are flat, and positions are
counted in elements.
"""

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, extending

from flare_mesh.compiled.block_code import INT, ROWS, BlockCode, block_of, width

intrinsic: Any = extending.intrinsic  # calls omit the first parameter, the context
_Rows = types.UniTuple(INT, ROWS)


@intrinsic
def columns(context, array):
    """Columns of a block of the array's dtype."""
    count = width(array.dtype.bitwidth)

    def generate(context, builder, signature, arguments):
        return context.get_constant(INT, count)

    return INT(array), generate


@intrinsic
def differences(context, rows, row_at, values, at):
    """Block rows[row_at + j] - values[at + column]."""
    kind = block_of(rows)

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
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

    return kind(rows, INT, values, INT), generate


@intrinsic
def spread(context, rows, row_at):
    """Block rows[row_at + j] in all columns."""
    kind = block_of(rows)

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        rows, row_at = arguments
        rows = code.data(signature.args[0], rows)
        parts = [
            code.splat(code.load(rows, code.step(row_at, j), code.scalar)) for j in range(ROWS)
        ]
        return code.pack([part for part in parts for _ in range(kind.vectors)])

    return kind(rows, INT), generate


@intrinsic
def subtract(context, block, values, at):
    """block[j, column] - values[at + column]."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        block, values, at = arguments
        values = code.data(signature.args[1], values)
        vectors = [code.load(values, c) for c in code.columns(at)]
        return code.pack(
            [
                code.subtract(x, v)
                for row in code.matrix(block)
                for x, v in zip(row, vectors, strict=True)
            ]
        )

    return kind(block, values, INT), generate


@intrinsic
def add_products(context, block, rows, row_at, step, matrix, at, stride, count):
    """block[j, column] + sum over d of rows[row_at[j] + d step] matrix[at + d stride + column]."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        block, rows, row_at, step, matrix, at, stride, count = arguments
        rows = code.data(signature.args[1], rows)
        matrix = code.data(signature.args[4], matrix)
        starts = [builder.extract_value(row_at, j) for j in range(ROWS)]

        def body(d, sums):
            place, along = builder.add(at, builder.mul(d, stride)), builder.mul(d, step)
            vectors = [code.load(matrix, c) for c in code.columns(place)]
            results = []
            for j, start in enumerate(starts):
                factor = code.splat(code.load(rows, builder.add(start, along), code.scalar))
                for v, vector in enumerate(vectors):
                    product = code.multiply(factor, vector)
                    results.append(code.add(product, sums[j * kind.vectors + v]))
            return results

        return code.pack(code.repeat(count, code.unpack(block), body))

    return kind(block, rows, _Rows, INT, matrix, INT, INT, INT), generate


@intrinsic
def scatter_products(context, block, rows, row_at, matrix, at, stride, count):
    """matrix[at + d stride + column] += sum over j of rows[row_at[j] + d] block[j, column]."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
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

    return types.void(block, rows, _Rows, matrix, INT, INT, INT), generate


@intrinsic
def scatter_rows(context, block, sums, at):
    """sums[at + column] += sum over j of block[j, column]."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        block, sums, at = arguments
        sums = code.data(signature.args[1], sums)
        (a, b, c, d), places = code.matrix(block), code.columns(at)
        for v, place in enumerate(places):
            added = code.add(code.add(a[v], b[v]), code.add(c[v], d[v]))
            code.store(code.add(code.load(sums, place), added), sums, place)
        return context.get_dummy_value()

    return types.void(block, sums, INT), generate


@intrinsic
def store(context, block, tile, at, stride):
    """tile[at + j stride + column] = block[j, column]."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        block, tile, at, stride = arguments
        tile = code.data(signature.args[1], tile)
        for vectors in code.matrix(block):
            for vector, place in zip(vectors, code.columns(at), strict=True):
                code.store(vector, tile, place)
            at = builder.add(at, stride)
        return context.get_dummy_value()

    return types.void(block, tile, INT, INT), generate


def _elementwise(operation: Callable[[BlockCode, Any, Any], Any], what: str) -> Any:
    def step(context, first, second):
        kind = first

        def generate(context, builder, signature, arguments):
            code = BlockCode(context, builder, kind)
            pairs = zip(*(code.unpack(block) for block in arguments), strict=True)
            return code.pack([operation(code, a, b) for a, b in pairs])

        return kind(first, second), generate

    step.__doc__ = f"{what} of two blocks, element by element."
    return intrinsic(step)


multiply = _elementwise(BlockCode.multiply, "Product")
add = _elementwise(BlockCode.add, "Sum")


@intrinsic
def powers(context, block, top):
    """2^block with exponents clamped to ``top``, a literal; NaN stays NaN."""
    if not isinstance(top, types.IntegerLiteral):
        return None
    kind, limit = block, float(top.literal_value)

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        vectors = code.unpack(arguments[0])
        return code.pack([code.power_of_two(x, limit) for x in vectors])

    return kind(block, top), generate


@intrinsic
def exceeds(context, block, limit):
    """Whether any element is greater than ``limit``; a column with NaN gives either answer."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
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
    kind = block_of(array)

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        return code.pack([code.constant(0.0)] * (ROWS * kind.vectors))

    return kind(array), generate


@intrinsic
def prefetch(context, array, row_at, distance):
    """Load array[row_at[j] + distance] into the cache; it may lie beyond the array's end."""

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, block_of(signature.args[0]))
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

    return types.void(array, _Rows, INT), generate


@intrinsic
def store_row_sums(context, block, out, at):
    """out[at + j] = sum over the columns of block[j]."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        block, out, at = arguments
        rows = []
        for first, *others in code.matrix(block):
            for vector in others:
                first = code.add(first, vector)
            rows.append(first)
        code.store(code.sum_lanes(rows), code.data(signature.args[1], out), at)
        return context.get_dummy_value()

    return types.void(block, out, INT), generate


@intrinsic
def store_products(
    context, scratch, tile_at, length, matrix, at, stride, count, factors_at, out, row_at
):
    """out[row_at[j] + d] = factor[j] sum over c of tile[j length + c] matrix[at + d stride + c].

    The tile is at ``tile_at`` of ``scratch`` and the factors are at ``factors_at``. For ``count``
    rows d of the matrix, a multiple of four. Of rows with equal positions, the result of the first
    is stored.
    """
    kind = block_of(scratch)

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        tile, tile_at, length, matrix, at, stride, count, factors_at, out, row_at = arguments
        tile, matrix = code.data(signature.args[0], tile), code.data(signature.args[3], matrix)
        out = code.data(signature.args[8], out)
        starts = [builder.add(tile_at, builder.mul(length, code.integer(j))) for j in range(ROWS)]

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
                    factor = code.load(tile, code.step(factors_at, j), code.scalar)
                    factor = code.splat(factor, 4)
                    place = builder.add(builder.extract_value(row_at, j), d)
                    code.store(code.multiply(four, factor), out, place)
            return []

        code.repeat(count, [], four_channels, 4)
        return context.get_dummy_value()

    return types.void(scratch, INT, INT, matrix, INT, INT, INT, INT, out, _Rows), generate
