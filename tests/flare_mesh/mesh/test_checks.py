import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.checks import CHECKS, _duplicates, check_mesh
from flare_mesh.testing import mixed_mesh, unit_mesh

SOLIDS = [kind for kind, cell in CELL_TYPES.items() if cell.dim == 3]


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("kind", CELL_TYPES)
def test_good_meshes(kind, scale):
    pos, cells = unit_mesh(kind)
    check_mesh((pos * scale).float(), cells)
    check_mesh(pos * scale + 100 * scale, cells)


def test_good_mixed_meshes_and_empty_ones():
    for order in (1, 2):
        check_mesh(*mixed_mesh(order))
    check_mesh(torch.empty(0, 3), {})
    check_mesh(torch.empty(0, 3), {"tetra": torch.empty(0, 4).long()})


def test_thin_cells_are_no_flat_ones():
    pos, cells = unit_mesh("hexahedron")
    check_mesh(pos * torch.tensor([1.0, 1.0, 1e-7]), cells)
    with pytest.raises(
        ValueError, match=r"^2 of 2 cells of 'hexahedron' \(0, 1\) have no measure; 8 of"
    ):
        check_mesh(pos * torch.tensor([1.0, 1.0, 0.0]), cells)


def test_flat_cells_are_not_inverted():
    pos, cells = unit_mesh("tetra")
    pos[:, 2] = 0.7 * pos[:, 0] - 0.3 * pos[:, 1] + 0.1
    with pytest.raises(ValueError, match="6 of 6 cells of 'tetra' .* have no measure") as error:
        check_mesh(pos / 3, cells)
    assert "inverted" not in str(error.value)


def test_coordinates():
    pos, cells = unit_mesh("tetra")
    pos[2, 1], pos[5, 0] = torch.nan, torch.inf
    with pytest.raises(ValueError, match=r"NaN or infinite ones at 2 of 8 nodes \(2, 5\)\)"):
        check_mesh(pos, cells, allow=CHECKS)


def test_node_numbers():
    pos, cells = unit_mesh("tetra")
    with pytest.raises(ValueError, match=r"from 0 to 5 in 'tetra' \(got 0 to 7\)"):
        check_mesh(pos[:6], cells, allow=CHECKS)


@pytest.mark.parametrize("kind", SOLIDS)
def test_inverted_cells(kind):
    pos, cells = unit_mesh(kind)
    count = len(cells[kind])
    with pytest.raises(ValueError, match=rf"^{count} of {count} cells of '{kind}' .*are inverted"):
        check_mesh(pos * torch.tensor([1.0, 1.0, -1.0]), cells)
    check_mesh(pos * torch.tensor([1.0, 1.0, -1.0]), cells, allow=["inverted"])


def test_the_first_of_many():
    pos, cells = unit_mesh("triangle")
    clockwise = cells["triangle"].flip(1).repeat(3, 1)
    clockwise[4] = clockwise[4].flip(0)
    with pytest.raises(
        ValueError, match=r"11 of 12 cells of 'triangle' \(0, 1, 2, 3, 5, \.\.\.\) are"
    ):
        check_mesh(pos, {"triangle": clockwise})
    check_mesh(torch.nn.functional.pad(pos, (0, 1)), {"triangle": clockwise})  # no inside in space


def test_a_node_twice():
    pos = torch.tensor(CELL_TYPES["hexahedron"].reference).double()[[0, 1, 2, 4, 5, 6]]
    collapsed = {"hexahedron": torch.tensor([[0, 1, 2, 2, 3, 4, 5, 5]])}
    with pytest.raises(
        ValueError, match=r"^1 of 1 cells of 'hexahedron' \(0\) have a node twice; rep"
    ):
        check_mesh(pos, collapsed)
    check_mesh(pos, collapsed, allow=["repeated_nodes"])


def test_everything_at_once():
    pos = torch.tensor([[0, 0], [1, 0], [0, 1], [0, 1], [5, 5]]).double()
    cells = {
        "triangle": torch.tensor([[0, 1, 2], [2, 1, 0], [0, 1, 1]]),
        "line": torch.tensor([[2, 3]]),
    }
    with pytest.raises(ValueError) as error:
        check_mesh(pos, cells)
    assert str(error.value) == (
        "1 of 3 cells of 'triangle' (2) have a node twice; "
        "1 of 3 cells of 'triangle' (2) have no measure; "
        "1 of 3 cells of 'triangle' (1) are inverted; "
        "1 of 1 cells of 'line' (0) have no measure; "
        "1 of 5 nodes (4) belong to no cell; "
        "1 of 5 nodes (3) duplicate others; "
        "repair the mesh, or allow ['repeated_nodes', 'zero_measure', 'inverted', 'unused_nodes', "
        "'duplicate_nodes'] if that is intended"
    )
    check_mesh(pos, cells, allow=CHECKS)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), dim=st.integers(1, 3), copies=st.integers(0, 5))
def test_duplicates_among_nodes_of_a_lattice(seed, dim, copies):
    rng = np.random.default_rng(seed)
    lattice = np.stack(np.meshgrid(*[np.arange(4.0)] * dim), -1).reshape(-1, dim)
    chosen = rng.integers(0, len(lattice), copies)
    near = lattice[chosen] + rng.uniform(-1e-10, 1e-10, (copies, dim))
    pos = torch.from_numpy(rng.permutation(np.concatenate([lattice, near])))
    every = {"vertex": torch.arange(len(pos))[:, None]}
    if copies:
        with pytest.raises(
            ValueError, match=rf"^{copies} of {len(pos)} nodes .* duplicate others; rep"
        ):
            check_mesh(pos, every)
    check_mesh(pos, every, allow=["duplicate_nodes"])
    with pytest.raises(ValueError, match=rf"^{len(pos) - 1} of "):
        check_mesh(pos, every, tolerance=1.0)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), dim=st.integers(1, 3))
def test_what_remains_lies_apart(seed, dim):
    pos = torch.from_numpy(np.random.default_rng(seed).uniform(size=(40, dim)))
    radius = 0.15 * float((pos.amax(0) - pos.amin(0)).norm())
    removed = _duplicates(pos, 0.15)
    distance = torch.cdist(pos, pos).fill_diagonal_(torch.inf)
    assert len(removed.unique()) == len(removed)
    assert bool((distance[removed].amin(1) <= radius).all())
    remaining = torch.ones(len(pos), dtype=torch.bool)
    remaining[removed] = False
    assert bool((distance[remaining][:, remaining] > radius).all())


def test_just_within_and_just_beyond_the_tolerance():
    every = {"vertex": torch.arange(3)[:, None]}
    for gap, close in ((0.9e-9, True), (1.1e-9, False)):
        pos = torch.tensor([[0, 0, 0], [0.6, 0, 0.8], [0.6, gap, 0.8]]).double()
        if close:
            with pytest.raises(ValueError, match=r"1 of 3 nodes \([12]\) duplicate others"):
                check_mesh(pos, every)
        else:
            check_mesh(pos, every)


def test_unknown_check():
    with pytest.raises(ValueError, match="unknown fault 'unused'; did you mean 'unused_nodes'"):
        check_mesh(*unit_mesh("tetra"), allow=["unused"])
