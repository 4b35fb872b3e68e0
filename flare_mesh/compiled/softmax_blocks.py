"""Steps of a softmax on blocks of vector registers, beside those of :mod:`.blocks`."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils, extending

from flare_mesh.compiled.block_code import INT, ROWS, Block, BlockCode, block_of

intrinsic: Any = extending.intrinsic  # calls omit the first parameter, the context
_Rows = types.UniTuple(INT, ROWS)


def _larger(code: BlockCode, a: Any, b: Any) -> Any:
    """The larger of two vectors; where one is NaN, either."""
    return code.builder.select(code.builder.fcmp_ordered(">", a, b), a, b)


@intrinsic
def raise_references(context, block, first, sums, at, stride, count, shift, shift_at):
    """Raise the reference of each column to its largest score, and rescale the sums.

    With ``first`` there is no reference yet, and the sums are 0. Otherwise
    sums[at + d stride + column] *= 2^(shift[shift_at + column] - the new reference), for
    ``count`` rows d.
    """
    kind = block

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        block, first, sums, at, stride, count, shift, shift_at = arguments
        sums = code.data(signature.args[2], sums)
        shift = code.data(signature.args[6], shift)
        factors = []
        for column, place in zip(
            zip(*code.matrix(block), strict=True), code.columns(shift_at), strict=True
        ):
            top, *others = column
            for vector in others:
                top = _larger(code, vector, top)
            before = code.load(shift, place)
            top = builder.select(first, top, _larger(code, before, top))
            factors.append(code.power_of_two(code.subtract(before, top), 0.0))
            code.store(top, shift, place)

        def rescale(d, _):
            places = code.columns(builder.add(at, builder.mul(d, stride)))
            for factor, place in zip(factors, places, strict=True):
                code.store(code.multiply(factor, code.load(sums, place)), sums, place)
            return []

        code.repeat(count, [], rescale)
        return context.get_dummy_value()

    return types.void(block, first, sums, INT, INT, INT, shift, INT), generate


@intrinsic
def maxima(context, first, second):
    """The larger of two blocks, element by element; where one is NaN, either."""
    kind = first

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        pairs = zip(*(code.unpack(block) for block in arguments), strict=True)
        return code.pack([_larger(code, a, b) for a, b in pairs])

    return kind(first, second), generate


@intrinsic
def store_negative_maxima(context, block, out, at):
    """out[at + j] = minus the largest element of block[j]; NaN is ignored."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        block, out, at = arguments
        out = code.data(signature.args[1], out)
        name = f"llvm.vector.reduce.fmax.v{kind.lanes}f{code.bits}"
        reduce = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(code.scalar, [code.vector]), name
        )
        for j, (top, *others) in enumerate(code.matrix(block)):
            for vector in others:
                top = _larger(code, vector, top)
            code.store(builder.fneg(builder.call(reduce, [top])), out, code.step(at, j))
        return context.get_dummy_value()

    return types.void(block, out, INT), generate


@intrinsic
def store_negative_dots(context, first, second, row_at, count, out, at):
    """out[at + j] = - sum over d of first[row_at[j] + d] second[row_at[j] + d].

    For ``count`` elements, a multiple of four.
    """
    lanes = 4

    def generate(context, builder, signature, arguments):
        kind = block_of(signature.args[0])
        code = BlockCode(context, builder, Block(kind.dtype, kind.vectors, lanes))
        first, second, row_at, count, out, at = arguments
        first, second = (
            code.data(type_, a) for type_, a in zip(signature.args, (first, second), strict=False)
        )
        starts = [builder.extract_value(row_at, j) for j in range(ROWS)]

        def add_four(d, sums):
            results = []
            for start, total in zip(starts, sums, strict=True):
                place = builder.add(start, d)
                product = code.multiply(code.load(first, place), code.load(second, place))
                results.append(code.subtract(total, product))
            return results

        sums = code.repeat(count, [code.constant(0.0)] * ROWS, add_four, lanes)
        code.store(code.sum_lanes(sums), code.data(signature.args[4], out), at)
        return context.get_dummy_value()

    return types.void(first, second, _Rows, INT, out, INT), generate
