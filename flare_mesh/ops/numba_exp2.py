"""A fast power of two for compiled loops."""

import numpy as np
from numba import types
from numba.extending import overload

_F32, _I32 = np.float32, np.int32


def exp2(x):
    """2^x, with relative error 1e-7 in float32, where results below 2^-126 become 2^-126."""
    return 2.0**x


@overload(exp2, inline="always")
def _exp2_of(x):
    if x != types.float32:
        return lambda x: np.exp2(x)

    def exp2_float32(x):
        # 2^n 2^f with |f| <= 1/2; the polynomial's relative error is below 1e-7.
        x = _F32(-126.0) if x < _F32(-126.0) else x  # passes NaN
        n = np.rint(x)
        f = x - n
        p = _F32(1.5403530393381610e-4)
        p = p * f + _F32(1.3333558146428443e-3)
        p = p * f + _F32(9.6181291076284772e-3)
        p = p * f + _F32(5.5504108664821580e-2)
        p = p * f + _F32(2.4022650695910071e-1)
        p = p * f + _F32(6.9314718055994531e-1)
        p = p * f + _F32(1.0)
        return p * _I32((_I32(n) + _I32(127)) << _I32(23)).view(np.float32)

    return exp2_float32
