import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf.core.element import NODES, brick, isotropic_elasticity
from lpbf.solve.brick_modes import LEXICOGRAPHIC, mode_blocks, walsh_matrix


def test_lexicographic_order():
    bits = np.arange(8)[:, None] >> np.arange(3) & 1
    np.testing.assert_array_equal((NODES[LEXICOGRAPHIC] + 1) / 2, bits)


def test_walsh_modes_are_the_products_of_the_coordinates():
    signs, at = walsh_matrix(), NODES[LEXICOGRAPHIC]
    for m in range(8):
        expected = np.prod([at[:, axis] for axis in range(3) if m >> axis & 1], axis=0)
        np.testing.assert_array_equal(signs[m], expected * np.ones(8))
    np.testing.assert_array_equal(signs @ signs.T, 8 * np.eye(8))


def assemble_blocks(blocks):
    """Stiffness [24, 24] in VTK's order from mode blocks."""
    signs = walsh_matrix()
    modes = np.zeros((8, 3, 8, 3))
    for m in range(8):
        for c in range(3):
            for d in range(3):
                modes[m ^ (1 << c), c, m ^ (1 << d), d] = blocks[m, c, d]
    full = np.einsum("mi,mcnd,nj->icjd", signs, modes, signs)
    out = np.zeros((8, 3, 8, 3))
    out[np.ix_(LEXICOGRAPHIC, range(3), LEXICOGRAPHIC, range(3))] = full
    return out.reshape(24, 24)


@settings(deadline=None, max_examples=25)
@given(
    st.tuples(*[st.floats(0.01, 20.0)] * 3),
    st.floats(-0.4, 0.49),
    st.lists(st.floats(0.1, 10.0), min_size=6, max_size=6),
    st.booleans(),
)
def test_blocks_represent_the_whole_stiffness(spacing, poisson, scale, incompatible_modes):
    factor = np.sqrt(scale)
    orthotropic = isotropic_elasticity(1000.0, poisson) * factor[:, None] * factor
    matrix = brick(spacing, orthotropic, incompatible_modes=incompatible_modes).stiffness
    found = assemble_blocks(mode_blocks(matrix))
    np.testing.assert_allclose(found, matrix, atol=1e-10 * np.abs(matrix).max())


def test_translations_have_no_energy_and_blocks_are_symmetric(stiffness):
    blocks = mode_blocks(stiffness)
    scale = np.abs(blocks).max()
    np.testing.assert_allclose(blocks, blocks.transpose(0, 2, 1), atol=1e-12 * scale)
    for c in range(3):  # mode 0 of component c
        np.testing.assert_allclose(blocks[1 << c, c], 0, atol=1e-12 * scale)
    # The six rigid-body modes are the null space.
    values = np.concatenate([np.linalg.eigvalsh(block) for block in blocks])
    assert (np.abs(values) < 1e-10 * scale).sum() == 6
    assert values.min() > -1e-10 * scale


def test_other_stiffnesses_are_refused(spacing, stiffness):
    sheared = isotropic_elasticity(1000.0, 0.3)
    sheared[0, 3] = sheared[3, 0] = 50.0
    with pytest.raises(ValueError, match="orthotropic"):
        mode_blocks(brick(spacing, sheared).stiffness)
    other = stiffness.copy()
    other[0, 0] *= 1.001
    with pytest.raises(ValueError, match="orthotropic"):
        mode_blocks(other)
