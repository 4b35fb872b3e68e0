from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pytest
from numba import njit

from flare_mesh.compiled import block_code
from flare_mesh.compiled.block_code import ROWS, width
from flare_mesh.compiled.blocks import __file__ as source

CHANNELS = 4


@pytest.fixture
def blocks(request, monkeypatch):
    """A copy of the module for a processor with these registers; Numba keeps the first choice."""
    monkeypatch.setattr(block_code, "registers", lambda: request.param)
    spec = spec_from_file_location(f"blocks_{request.param}", source)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def compiled(blocks):
    def steps(rows, matrix, bias, shift, out, sums, tile, products):
        at = (0, 4, 8, 12)
        columns = blocks.columns(rows)
        block = blocks.differences(bias, 0, shift, 0)
        block = blocks.add_products(block, rows, at, matrix, 0, columns, CHANNELS)
        above = blocks.exceeds(block, np.float32(1e6)), blocks.exceeds(block, np.float32(-1e6))
        block = blocks.powers(block, 0)
        blocks.store(block, tile, 0, columns)
        blocks.scatter_products(block, rows, at, out, 0, columns, CHANNELS)
        blocks.scatter_rows(block, out, CHANNELS * columns)
        twice = blocks.add(blocks.zeros(rows), blocks.multiply(block, block))
        blocks.store_row_sums(twice, sums, 0)
        blocks.store_products(tile, columns, matrix, 0, columns, CHANNELS, bias, products, at)
        return above

    return njit(steps)


@pytest.mark.parametrize("blocks", [(16, 32), (32, 16), (64, 32)], ids=str, indirect=True)
def test_steps_for_all_registers(blocks):
    """NEON, AVX2 and AVX-512; LLVM splits registers that this processor does not have."""
    columns = width(32)
    draw = np.random.default_rng(0)
    rows, bias = draw.normal(size=(ROWS, CHANNELS)), draw.normal(size=ROWS)
    matrix, shift = draw.normal(size=(CHANNELS, columns)), draw.normal(size=columns)
    shift[0] = 300  # far below the range of exponents: next to 0
    inputs = [a.astype(np.float32).ravel() for a in (rows, matrix, bias, shift)]
    sizes = (CHANNELS + 1) * columns, ROWS, ROWS * columns, ROWS * CHANNELS
    out, sums, tile, products = (np.zeros(n, np.float32) for n in sizes)
    assert compiled(blocks)(*inputs, out, sums, tile, products) == (False, True)
    powers = np.exp2(np.minimum(bias[:, None] - shift + rows @ matrix, 0))
    want = {
        "tile": (tile, powers),
        "sums over rows": (out, [*rows.T @ powers, powers.sum(0)]),
        "sums over columns": (sums, np.square(powers).sum(1)),
        "products": (products, bias[:, None] * (powers @ matrix.T)),
    }
    for name, (got, expected) in want.items():
        np.testing.assert_allclose(got, np.ravel(expected), 1e-5, 1e-6, err_msg=name)
