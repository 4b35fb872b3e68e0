"""Further steps on blocks of vector registers, for the layers of a network.

The argument ``vectors``, a literal, is the number of vector registers in each row of a block.
"""

import math
from typing import Any

from numba import types
from numba.core import extending

from flare_mesh.compiled.block_code import INT, ROWS, Block, BlockCode, shape
from flare_mesh.compiled.processor import registers

intrinsic: Any = extending.intrinsic  # calls omit the first parameter, the context
_Rows = types.UniTuple(INT, ROWS)

# GELU(z) = z / (1 + 2^t) with t = LINEAR (z + CUBIC z^3).
LINEAR = -2.0 * math.log2(math.e) * math.sqrt(2.0 / math.pi)
CUBIC = 0.044715
_TOP = 126.0


def vectors_of(channels: int) -> int:
    """Vectors in each row of the largest blocks that divide float32 rows; 0 if none does."""
    _, lanes = shape(32)
    largest = 4 if registers()[1] == 32 else 2
    return next((v for v in (4, 2, 1) if v <= largest and channels % (v * lanes) == 0), 0)


def _kind(array: Any, vectors: Any) -> Block | None:
    if not isinstance(vectors, types.IntegerLiteral):
        return None
    return Block(array.dtype, vectors.literal_value, shape(array.dtype.bitwidth)[1])


@intrinsic
def number(context, array, at):
    """array[at], also beyond the array's end."""

    def generate(context, builder, signature, arguments):
        array, at = arguments
        data = context.make_array(signature.args[0])(context, builder, value=array).data
        return builder.load(builder.gep(data, [at]))

    return array.dtype(array, INT), generate


@intrinsic
def set_number(context, array, at, value):
    """array[at] = value, also beyond the array's end."""

    def generate(context, builder, signature, arguments):
        array, at, value = arguments
        data = context.make_array(signature.args[0])(context, builder, value=array).data
        value = context.cast(builder, value, signature.args[2], signature.args[0].dtype)
        builder.store(value, builder.gep(data, [at]))
        return context.get_dummy_value()

    return types.void(array, INT, value), generate


@intrinsic
def repeat(context, array, at, vectors):
    """Block of array[at + column] in all rows."""
    if (kind := _kind(array, vectors)) is None:
        return None

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        array, at, _ = arguments
        data = code.data(signature.args[0], array)
        return code.pack([code.load(data, place) for place in code.columns(at)] * ROWS)

    return kind(array, INT, vectors), generate


@intrinsic
def zeros(context, array, vectors):
    """Block of zeros, of the array's dtype."""
    if (kind := _kind(array, vectors)) is None:
        return None

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        return code.pack([code.constant(0.0)] * (ROWS * kind.vectors))

    return kind(array, vectors), generate


@intrinsic
def load_rows(context, array, row_at, at, vectors):
    """Block of array[row_at[j] + at + column]."""
    if (kind := _kind(array, vectors)) is None:
        return None

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        array, row_at, at, _ = arguments
        data = code.data(signature.args[0], array)
        places = [place for row in _places(code, row_at, at) for place in row]
        return code.pack([code.load(data, place) for place in places])

    return kind(array, _Rows, INT, vectors), generate


@intrinsic
def store_rows(context, block, array, row_at, at):
    """array[row_at[j] + at + column] = block[j, column]."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        block, array, row_at, at = arguments
        data = code.data(signature.args[1], array)
        places = [place for row in _places(code, row_at, at) for place in row]
        for vector, place in zip(code.unpack(block), places, strict=True):
            code.store(vector, data, place)
        return context.get_dummy_value()

    return types.void(block, array, _Rows, INT), generate


def _places(code: BlockCode, row_at: Any, at: Any) -> list[list[Any]]:
    """Positions of the vectors of each row."""
    builder = code.builder
    starts = [builder.extract_value(row_at, j) for j in range(ROWS)]
    return [code.columns(builder.add(start, at)) for start in starts]


@intrinsic
def gelu(context, block):
    """GELU of a block by its approximation with tanh; NaN stays NaN."""
    kind = block

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, kind)
        values = [code.multiply(z, _share(code, z)[0]) for z in code.unpack(arguments[0])]
        return code.pack(values)

    return kind(block), generate


@intrinsic
def gelu_and_slope(context, block):
    """As :func:`gelu`, and its derivative: two blocks."""
    kind = types.UniTuple(block, 2)

    def generate(context, builder, signature, arguments):
        code = BlockCode(context, builder, block)
        values, slopes = [], []
        for z in code.unpack(arguments[0]):
            # With e = 2^t and s = 1 / (1 + e): GELU = z s, and ds/dz = -ln 2 t' e s^2.
            share, power = _share(code, z)
            value = code.multiply(z, share)
            rate = _exponent(code, z, 3.0 * CUBIC * LINEAR)  # z t'
            fall = code.multiply(code.multiply(rate, code.constant(math.log(2.0))), share)
            values.append(value)
            slopes.append(code.subtract(share, code.multiply(fall, code.multiply(power, share))))
        return context.make_tuple(builder, kind, [code.pack(values), code.pack(slopes)])

    return kind(block), generate


def _share(code: BlockCode, z: Any) -> tuple[Any, Any]:
    """GELU(z) / z and its power of two."""
    power, one = code.power_of_two(_exponent(code, z, CUBIC * LINEAR), _TOP), code.constant(1.0)
    return code.builder.fdiv(one, code.add(power, one)), power


def _exponent(code: BlockCode, z: Any, cubic: float) -> Any:
    """z LINEAR + z^3 ``cubic``."""
    square = code.multiply(z, z)
    return code.multiply(
        z, code.add(code.multiply(code.constant(cubic), square), code.constant(LINEAR))
    )
