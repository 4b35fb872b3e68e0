import numpy as np
import pytest
import pyvista
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_mesh.mesh import isoparametric
from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.geometry import cell_centroids, cell_measures, quadrature_weights
from flare_mesh.mesh.isoparametric import integrate
from flare_mesh.testing import mixed_mesh, unit_mesh

KINDS = [kind for kind in CELL_TYPES if kind != "vertex"]
LINEAR = [kind for kind in KINDS if CELL_TYPES[kind].order == 1]
SECOND = [kind for kind in KINDS if CELL_TYPES[kind].order == 2]
VTK_TYPES = {
    **{"line": 3, "triangle": 5, "quad": 9, "tetra": 10, "hexahedron": 12, "wedge": 13},
    **{"pyramid": 14},
}


def affine(seed, rows, columns):
    """A random matrix with independent columns, and a shift."""
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(rows, rows)))
    stretch = np.triu(rng.uniform(-1, 1, (columns, columns)), 1)
    stretch += np.diag(rng.uniform(0.3, 3, columns))
    return torch.from_numpy(q[:, :columns] @ stretch), torch.from_numpy(rng.normal(size=rows))


def bend(pos):
    """A map of order 2 that any cell of order 2 follows exactly, and its determinant."""
    x, y, z = (*pos.unbind(-1), 0 * pos[..., 0], 0 * pos[..., 0])[:3]
    image = torch.stack([x + 0.2 * x**2, y + 0.3 * x * y, z + 0.1 * y * z], -1)
    factors = [1 + 0.4 * x, 1 + 0.3 * x, 1 + 0.1 * y]
    return image[..., : pos.shape[-1]], torch.stack(factors[: pos.shape[-1]]).prod(0)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=10, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1), beyond=st.integers(0, 2))
def test_affine_images(kind, seed, beyond):
    pos, cells = unit_mesh(kind)
    dim = pos.shape[1]
    matrix, shift = affine(seed, min(dim + beyond, 3), dim)
    image = pos @ matrix.T + shift
    scale = (matrix.T @ matrix).det().sqrt()
    if matrix.shape[0] == dim:
        scale = matrix.det()  # signed: half of the maps are reflections

    before, after = cell_measures(pos, cells)[kind], cell_measures(image, cells)[kind]
    assert bool((before > 0).all())
    torch.testing.assert_close(before.sum(), torch.tensor(1.0).double())
    torch.testing.assert_close(after, before * scale)

    centres = cell_centroids(pos, cells)[kind]
    torch.testing.assert_close(cell_centroids(image, cells)[kind], centres @ matrix.T + shift)
    middle = (before[:, None] * centres).sum(0)
    torch.testing.assert_close(middle, torch.full((dim,), 0.5).double())

    weights = quadrature_weights(pos, cells)
    assert bool((weights > 0).all())
    torch.testing.assert_close(weights.sum(), torch.tensor(1.0).double())
    torch.testing.assert_close(quadrature_weights(image, cells), weights * scale.abs())


@pytest.mark.parametrize("kind", LINEAR)
def test_as_vtk_measures_them(kind):
    # A projective map keeps faces plane, for which VTK's cutting into tetrahedra is exact.
    pos, cells = unit_mesh(kind, pos_dim=3)
    slant = 1 + pos @ torch.tensor([0.5, -0.3, 0.2]).double()
    matrix, shift = affine(3, 3, 3)
    pos = (pos / slant[:, None]) @ (matrix * matrix.det().sign()).T + shift
    table = cells[kind].numpy()
    grid = pyvista.UnstructuredGrid({VTK_TYPES[kind]: table}, pos.numpy())
    sizes = grid.compute_cell_sizes()
    name = ("Length", "Area", "Volume")[CELL_TYPES[kind].dim - 1]
    np.testing.assert_allclose(cell_measures(pos, cells)[kind], sizes[name], rtol=1e-6)


@pytest.mark.parametrize("kind", SECOND)
def test_curved_cells(kind):
    pos, cells = unit_mesh(kind)
    image, _ = bend(pos)
    # Gauss' rule on the whole interval, square or cube knows nothing of cells.
    nodes, shares = np.polynomial.legendre.leggauss(4)
    axes = [torch.from_numpy(nodes + 1) / 2] * pos.shape[1]
    grid = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).reshape(-1, pos.shape[1])
    ways = [torch.from_numpy(shares) / 2] * pos.shape[1]
    density = torch.stack(torch.meshgrid(*ways, indexing="ij")).prod(0).ravel() * bend(grid)[1]
    measures = cell_measures(image, cells)[kind]
    torch.testing.assert_close(measures.sum(), density.sum())
    moment = (measures[:, None] * cell_centroids(image, cells)[kind]).sum(0)
    torch.testing.assert_close(moment, density @ bend(grid)[0])
    weights = quadrature_weights(image, cells)
    assert bool((weights > 0).all())
    torch.testing.assert_close(weights.sum(), density.sum())


@pytest.mark.parametrize("kind", KINDS)
def test_exact_in_any_shape(kind):
    pos, cells = unit_mesh(kind)
    pos = pos + 0.05 * torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, pos.shape))
    nodes = cells[kind]
    share = integrate(pos, nodes, kind, lambda values: values, degree=13)
    measures = cell_measures(pos, cells)[kind]
    torch.testing.assert_close(measures, share.sum(1), rtol=1e-13, atol=0)
    moment = torch.einsum("en,end->ed", share, pos[nodes])
    centres = cell_centroids(pos, cells)[kind]
    torch.testing.assert_close(centres, moment / share.sum(1, keepdim=True), rtol=1e-13, atol=0)


def test_volume_of_a_bent_cube_in_closed_form():
    pos, cells = unit_mesh("tetra10")
    volume = cell_measures(bend(pos)[0], cells)["tetra10"].sum()
    assert float(volume) == pytest.approx((1 + 0.7 / 2 + 0.12 / 3) * 1.05, rel=1e-14)


@pytest.mark.parametrize("kind", LINEAR)
@settings(deadline=None, max_examples=10, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_linear_fields_are_integrated_exactly(kind, seed):
    pos, cells = unit_mesh(kind, pos_dim=3)
    pos = pos + 0.1 * torch.from_numpy(np.random.default_rng(seed).uniform(-1, 1, pos.shape))
    slope = torch.tensor([1.0, -2.0, 3.0]).double()
    centres, measures = cell_centroids(pos, cells)[kind], cell_measures(pos, cells)[kind]
    exact = (measures * (1 + centres @ slope)).sum()
    if kind == "quad":  # warped: the quadrature of its area is not exact
        torch.testing.assert_close(
            quadrature_weights(pos, cells) @ (1 + pos @ slope), exact, rtol=1e-6, atol=0
        )
    else:
        torch.testing.assert_close(quadrature_weights(pos, cells) @ (1 + pos @ slope), exact)


def test_linear_fields_in_closed_form():
    # Moving the node inside the cube does not change the cube.
    pos, cells = unit_mesh("pyramid")
    pos[8] = torch.tensor([0.3, 0.6, 0.45])
    slope = torch.tensor([1.0, -2.0, 3.0]).double()
    assert float(quadrature_weights(pos, cells) @ (1 + pos @ slope)) == pytest.approx(1 + 1.0)
    centre = cell_centroids(pos, cells)["pyramid"][0]
    base = pos[cells["pyramid"][0, :4]].mean(0)
    torch.testing.assert_close(centre, 0.75 * base + 0.25 * pos[8])


@pytest.mark.parametrize(
    ("kind", "corner", "middle", "centre"),
    [
        ("line3", 1 / 6, 4 / 6, None),
        ("triangle6", 3 / 57, 16 / 57, None),
        ("quad8", 3 / 76, 16 / 76, None),
        ("quad9", 1 / 36, 4 / 36, 16 / 36),
        ("tetra10", 1 / 36, 4 / 27, None),
        ("hexahedron27", 1 / 216, 4 / 216, 64 / 216),
    ],
)
def test_published_weights_of_second_order(kind, corner, middle, centre):
    cell = CELL_TYPES[kind]
    pos = torch.tensor(cell.reference).double()
    weights = quadrature_weights(pos, {kind: torch.arange(cell.num_nodes)[None]})
    weights = weights / weights.sum()
    corners = CELL_TYPES[cell.linear].num_nodes
    assert weights[:corners].tolist() == pytest.approx([corner] * corners)
    assert float(weights[corners]) == pytest.approx(middle)
    assert float(weights[-1]) == pytest.approx(middle if centre is None else centre)


def test_lines_around_a_circle():
    def error(count, kind):
        angle = torch.arange(2 * count).double() * torch.pi / count
        pos = torch.stack([angle.cos(), angle.sin()], 1)
        i = 2 * torch.arange(count)
        table = torch.stack([i, (i + 2) % (2 * count), i + 1], 1)[:, : CELL_TYPES[kind].num_nodes]
        return abs(float(cell_measures(pos, {kind: table})[kind].sum()) - 2 * torch.pi)

    assert error(8, "line") / error(16, "line") == pytest.approx(2**2, rel=0.1)
    assert error(8, "line3") / error(16, "line3") == pytest.approx(2**4, rel=0.1)


def test_area_of_a_warped_quad():
    pos = torch.tensor([[0, 0, 0], [1, 0, 0.5], [1, 1, 0], [0, 1, 0.5]]).double()
    u, v = torch.meshgrid(*[torch.linspace(0, 1, 201).double()] * 2, indexing="ij")
    height = 0.5 * (u * (1 - v) + v * (1 - u))
    fine = torch.stack([u, v, height], -1).reshape(-1, 3)
    i = torch.arange(201 * 201).view(201, 201)
    table = torch.stack([i[:-1, :-1], i[1:, :-1], i[1:, 1:], i[:-1, 1:]], -1).reshape(-1, 4)
    tiny = torch.cat([table[:, [0, 1, 2]], table[:, [0, 2, 3]]])
    area = float(cell_measures(fine, {"triangle": tiny})["triangle"].sum())
    ours = float(cell_measures(pos, {"quad": torch.arange(4)[None]})["quad"])
    assert ours == pytest.approx(area, rel=1e-4)


@pytest.mark.parametrize("order", [1, 2])
def test_mixed_mesh(order):
    pos, cells = mixed_mesh(order)
    measures = cell_measures(pos, cells)
    volumes = torch.tensor([1, 1 / 3, 1 / 2, 1 / 12]).double()
    torch.testing.assert_close(torch.cat(list(measures.values())), volumes)
    weights = quadrature_weights(pos, cells)
    assert bool((weights > 0).all())
    torch.testing.assert_close(weights.sum(), volumes.sum())


def test_the_surface_of_a_solid_has_no_weight():
    pos, cells = unit_mesh("tetra")
    more = {"triangle": torch.tensor([[0, 1, 2]]), **cells, "quad": torch.empty(0, 4).long()}
    assert torch.equal(quadrature_weights(pos, more), quadrature_weights(pos, cells))
    assert list(cell_measures(pos, more)) == ["triangle", "tetra", "quad"]
    assert cell_measures(pos, more)["quad"].shape == (0,)
    assert cell_centroids(pos, more)["quad"].shape == (0, 3)


def test_nodes_of_no_cell_and_vertices():
    pos = torch.tensor([[0.0], [1.0], [3.0]])
    weights = quadrature_weights(pos, {"line": torch.tensor([[1, 0]])})
    assert weights.tolist() == [0.5, 0.5, 0.0]
    assert cell_measures(pos, {"line": torch.tensor([[1, 0]])})["line"].tolist() == [-1.0]
    vertices = {"vertex": torch.tensor([[2], [0]])}
    assert quadrature_weights(pos, vertices).tolist() == [1.0, 0.0, 1.0]
    assert cell_centroids(pos, vertices)["vertex"].tolist() == [[3.0], [0.0]]


@pytest.mark.parametrize("kind", ["triangle", "triangle6"])
def test_a_cell_without_measure_has_no_weight(kind):
    pos, cells = unit_mesh(kind)
    flat = quadrature_weights(pos * torch.tensor([1.0, 0.0]), cells)
    assert torch.equal(flat, torch.zeros(len(pos)).double())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_computed_in_float64_and_returned_in_the_dtype(dtype):
    pos, cells = unit_mesh("hexahedron")
    pos = (pos * 3 + 0.2).to(dtype)
    for function in (quadrature_weights, lambda *args: cell_measures(*args)["hexahedron"]):
        result = function(pos, cells)
        assert result.dtype == dtype
        assert torch.equal(result, function(pos.double(), cells).to(dtype))
    assert cell_centroids(pos, cells)["hexahedron"].dtype == dtype
    assert torch.equal(
        quadrature_weights(pos, {k: v.to(torch.uint8) for k, v in cells.items()}),
        quadrature_weights(pos, cells),
    )


def test_small_cells_far_from_the_origin():
    pos, cells = unit_mesh("hexahedron")
    far = pos / 2**10 + 2**20  # exact in float64
    volume = cell_measures(far, cells)["hexahedron"] * 2**30
    torch.testing.assert_close(volume, torch.full((2,), 0.5).double(), rtol=1e-14, atol=0)
    centre = cell_centroids(far, cells)["hexahedron"]
    torch.testing.assert_close((centre - 2**20)[:, :2] * 2**10, torch.full((2, 2), 0.5).double())


@pytest.mark.parametrize("kind", ["hexahedron", "triangle6"])
def test_chunks_do_not_matter(kind, monkeypatch):
    pos, cells = unit_mesh(kind, pos_dim=3)
    whole = [*cell_measures(pos, cells).values(), quadrature_weights(pos, cells)]
    monkeypatch.setattr(isoparametric, "_CHUNK", 1)
    chunks = [*cell_measures(pos, cells).values(), quadrature_weights(pos, cells)]
    torch.testing.assert_close(whole, chunks)


@pytest.mark.parametrize("kind", ["quad8", "pyramid13"])
def test_differentiable(kind):
    pos, cells = unit_mesh(kind, pos_dim=3)
    cells = {kind: cells[kind][:1]}
    pos = (pos + 0.05 * torch.sin(17 * pos.flip(1))).requires_grad_()
    for function in (
        lambda pos: quadrature_weights(pos, cells),
        lambda pos: cell_measures(pos, cells)[kind],
        lambda pos: cell_centroids(pos, cells)[kind],
    ):
        assert torch.autograd.gradcheck(function, pos, fast_mode=True)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("kind", CELL_TYPES)
def test_on_a_gpu(kind):
    pos, cells = unit_mesh(kind, pos_dim=3)
    there = {key: nodes.cuda() for key, nodes in cells.items()}
    torch.testing.assert_close(
        quadrature_weights(pos.cuda(), there).cpu(), quadrature_weights(pos, cells)
    )
    ours, theirs = cell_centroids(pos, cells)[kind], cell_centroids(pos.cuda(), there)[kind]
    torch.testing.assert_close(theirs.cpu(), ours)


def test_errors():
    pos, cells = unit_mesh("tetra")
    with pytest.raises(ValueError, match="expected a mesh with cells"):
        quadrature_weights(pos, {"tetra": cells["tetra"][:0]})
    with pytest.raises(ValueError, match=r"of 3 dimensions for 'tetra' \(got 'pos' of .*\[8, 2\]"):
        cell_measures(pos[:, :2], cells)
    with pytest.raises(ValueError, match=r"\[N, 1\], \[N, 2\] or \[N, 3\] \(got \[8\]"):
        quadrature_weights(pos[:, 0], cells)
    with pytest.raises(ValueError, match="real coordinates 'pos'.*int64"):
        quadrature_weights(pos.long(), cells)
    with pytest.raises(ValueError, match=r"from 0 to 6 in 'tetra' \(got 0 to 7\)"):
        cell_centroids(pos[:7], cells)
