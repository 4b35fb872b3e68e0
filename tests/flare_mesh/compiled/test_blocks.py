from importlib.util import module_from_spec, spec_from_file_location

import numpy as np
import pytest
from numba import njit

from flare_mesh.compiled import block_code
from flare_mesh.compiled.block_code import ROWS, width
from flare_mesh.compiled.blocks import __file__ as source
from flare_mesh.compiled.softmax_blocks import __file__ as softmax_source

CHANNELS = 4


@pytest.fixture
def modules(request, monkeypatch):
    """Copies of the modules for a processor with these registers; Numba keeps the first choice."""
    monkeypatch.setattr(block_code, "registers", lambda: request.param)
    copies = []
    for file in (source, softmax_source):
        spec = spec_from_file_location(f"blocks_{request.param}", file)
        copies.append(module_from_spec(spec))
        spec.loader.exec_module(copies[-1])
    return copies


def compiled(blocks, softmax_blocks):
    def steps(rows, matrix, bias, shift, out, sums, tile, products, raised, references):
        at = (0, 4, 8, 12)
        columns = blocks.columns(rows)
        block = blocks.differences(bias, 0, shift, 0)
        block = blocks.add_products(block, rows, at, 1, matrix, 0, columns, CHANNELS)
        block = blocks.subtract(blocks.add(block, blocks.spread(bias, 0)), shift, 0)
        above = blocks.exceeds(block, np.float32(1e6)), blocks.exceeds(block, np.float32(-1e6))
        for number in range(2):  # without references, then with them
            softmax_blocks.raise_references(
                block, number == 0, raised, number * CHANNELS * columns, columns, CHANNELS,
                references, number * columns,
            )  # fmt: skip
        twice = softmax_blocks.maxima(block, blocks.multiply(block, block))
        softmax_blocks.store_negative_maxima(twice, sums, ROWS)
        softmax_blocks.store_negative_dots(rows, matrix, at, CHANNELS, sums, 2 * ROWS)
        block = blocks.powers(block, 0)
        blocks.store(block, tile, 0, columns)
        blocks.scatter_products(block, rows, at, out, 0, columns, CHANNELS)
        blocks.scatter_rows(block, out, CHANNELS * columns)
        twice = blocks.add(blocks.zeros(rows), blocks.multiply(block, block))
        blocks.store_row_sums(twice, sums, 0)
        tile[ROWS * columns : ROWS * columns + ROWS] = bias
        blocks.store_products(
            tile, 0, columns, matrix, 0, columns, CHANNELS, ROWS * columns, products, at
        )
        return above

    return njit(steps)


@pytest.mark.parametrize("modules", [(16, 32), (32, 16), (64, 32)], ids=str, indirect=True)
def test_steps_for_all_registers(modules):
    """NEON, AVX2 and AVX-512; LLVM splits registers that this processor does not have."""
    columns = width(32)
    draw = np.random.default_rng(0)
    rows, bias = draw.normal(size=(ROWS, CHANNELS)), draw.normal(size=ROWS)
    matrix, shift = draw.normal(size=(CHANNELS, columns)), draw.normal(size=columns)
    shift[0] = 300  # far below the range of exponents: next to 0
    inputs = [a.astype(np.float32).ravel() for a in (rows, matrix, bias, shift)]
    sizes = (CHANNELS + 1) * columns, 3 * ROWS, ROWS * columns + ROWS, ROWS * CHANNELS
    out, sums, tile, products = (np.zeros(n, np.float32) for n in sizes)
    raised = np.ones(2 * CHANNELS * columns, np.float32)
    references = np.append(np.full(columns, 5.0), draw.normal(size=columns)).astype(np.float32)
    before = references[columns:].copy()
    found = compiled(*modules)(*inputs, out, sums, tile, products, raised, references)
    assert found == (False, True)
    scores = 2 * (bias[:, None] - shift) + rows @ matrix
    powers, top = np.exp2(np.minimum(scores, 0)), scores.max(0)
    after = np.maximum(before, top)
    dots = [row @ np.ravel(matrix)[4 * j : 4 * j + 4] for j, row in enumerate(rows)]
    want = {
        "tile": (tile[:-ROWS], powers),
        "sums over rows": (out, [*rows.T @ powers, powers.sum(0)]),
        "sums over columns": (sums[:ROWS], np.square(powers).sum(1)),
        "largest": (sums[ROWS : 2 * ROWS], -np.maximum(scores, scores**2).max(1)),
        "dots": (sums[2 * ROWS :], -np.array(dots)),
        "references": (references, [*top, *after]),
        "rescaled": (raised[CHANNELS * columns :], np.tile(np.exp2(before - after), CHANNELS)),
        "products": (products, bias[:, None] * (powers @ matrix.T)),
    }
    for name, (got, expected) in want.items():
        np.testing.assert_allclose(got, np.ravel(expected), 1e-5, 1e-6, err_msg=name)
