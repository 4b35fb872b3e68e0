import numpy as np
import pytest
import pyvista
import torch

from flare_mesh.mesh.boundary import boundary_faces
from flare_mesh.mesh.cells import CELL_TYPES
from flare_mesh.mesh.geometry import cell_measures
from flare_mesh.mesh.isoparametric import normals, tangents
from flare_mesh.mesh.normals import area_vectors, face_normals, node_normals
from flare_mesh.mesh.shape_functions import quadrature, shape_functions
from flare_mesh.testing import mixed_mesh, unit_mesh

SOLIDS = [kind for kind, cell in CELL_TYPES.items() if cell.dim == 3]
SURFACES = [kind for kind, cell in CELL_TYPES.items() if cell.dim == 2]


def shaken(kind):
    """A mesh whose faces are warped or curved."""
    pos, cells = unit_mesh(kind)
    return pos + 0.05 * torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, pos.shape)), cells


def flux(pos, faces):
    """Flux of the coordinates through the faces, divided by the dimension: the volume inside."""
    total = 0.0
    for kind, nodes in faces.items():
        points, weights = quadrature(kind, 9)
        at = torch.einsum(
            "qn,fnd->dfq", torch.from_numpy(shape_functions(kind, points)), pos[nodes]
        )
        outward = torch.cat([normals(t) for t in tangents(pos, nodes, kind, points)], dim=1)
        total = total + ((at * outward).sum(0) @ torch.from_numpy(weights)).sum() / len(at)
    return total


@pytest.mark.parametrize("kind", [*SOLIDS, *SURFACES])
def test_closed_surfaces(kind):
    pos, cells = shaken(kind)
    faces = boundary_faces(cells).faces
    total = sum(vectors.sum(0) for vectors in area_vectors(pos, faces).values())
    torch.testing.assert_close(total, torch.zeros(pos.shape[1]).double(), atol=1e-14, rtol=0)
    torch.testing.assert_close(flux(pos, faces), cell_measures(pos, cells)[kind].sum())


@pytest.mark.parametrize("kind", SOLIDS)
def test_faces_of_a_cube(kind):
    pos, cells = unit_mesh(kind)
    faces = boundary_faces(cells).faces
    units, areas = face_normals(pos.float(), faces)
    assert sum(float(area.sum()) for area in areas.values()) == pytest.approx(6)
    at_nodes = node_normals(pos.float(), faces)
    for face, nodes in faces.items():
        away = pos[nodes].mean(1) - 0.5
        expected = torch.where(away.abs() == 0.5, away.sign(), 0.0).float()
        torch.testing.assert_close(units[face], expected, atol=1e-6, rtol=0)
    lengths = at_nodes.norm(dim=1)
    outside = ((pos == 0) | (pos == 1)).any(1)
    torch.testing.assert_close(lengths, outside.float())
    assert bool((at_nodes[outside] * (pos[outside] - 0.5)).sum(1).gt(0).all())


def icosphere(order, subdivisions):
    sphere = pyvista.Icosphere(nsub=subdivisions)
    pos = torch.from_numpy(np.array(sphere.points, dtype=float))
    faces = torch.from_numpy(np.array(sphere.regular_faces)).long()
    pos = pos / pos.norm(dim=1, keepdim=True)
    if order == 1:
        return pos, {"triangle": faces}
    # Middle nodes on the sphere; they need not be shared.
    ends = torch.stack([faces, faces.roll(-1, 1)], -1)
    middles = pos[ends].mean(2).reshape(-1, 3)
    middles = middles / middles.norm(dim=1, keepdim=True)
    added = len(pos) + torch.arange(len(middles)).view(-1, 3)
    return torch.cat([pos, middles]), {"triangle6": torch.cat([faces, added], 1)}


@pytest.mark.parametrize(("order", "rate"), [(1, 1), (2, 2)])
def test_normals_of_a_sphere(order, rate):
    def errors(subdivisions):
        pos, faces = icosphere(order, subdivisions)
        units, areas = face_normals(pos, faces)
        (unit,), (area,) = units.values(), areas.values()
        centres = pos[next(iter(faces.values()))[:, :3]].mean(1)
        centres = centres / centres.norm(dim=1, keepdim=True)
        at_faces = (unit - centres).norm(dim=1).max()
        at_nodes = (node_normals(pos, faces) - pos).norm(dim=1).max()
        return float(at_faces), float(at_nodes), abs(float(area.sum()) - 4 * torch.pi)

    coarse, fine = errors(2), errors(3)
    assert max(coarse[:2]) < 0.02
    assert fine[1] < coarse[1] / 2**rate * 1.3
    assert fine[0] < coarse[0] / 2 * 1.3
    assert fine[2] < coarse[2] / 2 ** (2 * order) * 1.3


@pytest.mark.parametrize("kind", ["line", "line3"])
def test_normals_of_a_circle(kind):
    count = 12
    angle = torch.arange(2 * count).double() * torch.pi / count
    pos = torch.stack([angle.cos(), angle.sin()], 1)
    i = 2 * torch.arange(count)
    lines = {
        kind: torch.stack([i, (i + 2) % (2 * count), i + 1], 1)[
            :, : len(CELL_TYPES[kind].reference)
        ]
    }
    units, lengths = face_normals(pos, lines)
    torch.testing.assert_close(units[kind], pos[1::2])  # at the middles of the lines
    chord = 2 * np.sin(np.pi / count)
    bounds = (chord, chord) if kind == "line" else (chord, 2 * np.pi / count)
    assert bool(((lengths[kind] >= bounds[0] - 1e-9) & (lengths[kind] <= bounds[1] + 1e-9)).all())
    expected = pos.clone()
    if kind == "line":
        expected[1::2] = 0  # nodes of no line
    torch.testing.assert_close(node_normals(pos, lines), expected)

    flat = torch.cat([pos, torch.full((len(pos), 1), 7.0).double()], 1)
    torch.testing.assert_close(face_normals(flat, lines)[0][kind][:, :2], units[kind])
    torch.testing.assert_close(node_normals(flat, lines)[:, :2], expected)
    assert not area_vectors(flat, lines)[kind][:, 2].any()
    assert not node_normals(flat, lines)[:, 2].any()


def test_weighted_by_area():
    pos = torch.tensor([[0, 0, 0], [1, 0, 0], [0, 3, 0], [0, 0, 1], [0, 0, 9]]).double()
    faces = {"triangle": torch.tensor([[0, 1, 2], [0, 3, 1]])}  # areas 1.5 and 0.5
    normal = torch.tensor([0, 0.5, 1.5]).double()
    expected = torch.stack([normal / normal.norm()] * 2)
    torch.testing.assert_close(node_normals(pos, faces)[:2], expected)
    assert node_normals(pos, faces)[2:].tolist() == [[0, 0, 1], [0, 1, 0], [0, 0, 0]]


def test_second_order_faces_that_are_flat_weigh_as_first_order():
    # A roof: one side a parallelogram, the other two triangles, with middle nodes and without.
    pos, cells = unit_mesh("quad9", pos_dim=3)
    quad, more = cells["quad9"][0], unit_mesh("triangle6", pos_dim=3)
    pos = torch.cat([pos, more[0] * 2])
    pos[:, 2] = 0.3 * pos[:, 0] - 0.2 * pos[:, 1]
    pos[15:, 2] = 3 * pos[15:, 0]
    triangle = more[1]["triangle6"][0] + 15
    triangle[0] = quad[0]  # both lie at the origin
    curved = node_normals(pos, {"quad9": quad[None], "triangle6": triangle[None]})
    flat = node_normals(pos, {"quad": quad[None, :4], "triangle": triangle[None, :3]})
    torch.testing.assert_close(curved[quad[0]], flat[quad[0]])


def test_no_area_no_normal():
    pos = torch.zeros(3, 3)
    units, areas = face_normals(pos, {"triangle": torch.tensor([[0, 1, 2]])})
    assert units["triangle"].tolist() == [[0, 0, 0]]
    assert areas["triangle"].tolist() == [0]
    assert not node_normals(pos, {"triangle": torch.tensor([[0, 1, 2]])}).any()
    tiny = 1e-30 * torch.eye(3)  # areas that float32 cannot hold
    assert node_normals(tiny, {"triangle": torch.tensor([[0, 1, 2]])})[0].tolist() == pytest.approx(
        [3**-0.5] * 3
    )


def test_mixed_mesh_by_divergence():
    for order in (1, 2):
        pos, cells = mixed_mesh(order)
        assert float(flux(pos, boundary_faces(cells).faces)) == pytest.approx(
            1 + 1 / 3 + 1 / 2 + 1 / 12
        )


def test_errors():
    pos, cells = unit_mesh("tetra")
    for function in (area_vectors, face_normals, node_normals):
        with pytest.raises(ValueError, match=r"faces of type 'tetra' have no normals"):
            function(pos, cells)
        with pytest.raises(ValueError, match=r"in a plane z = const.* \(got z over a range of 1\)"):
            function(pos, {"line": torch.tensor([[0, 6]])})
        with pytest.raises(ValueError, match=r"'triangle' have no normals at .*\[8, 2\]"):
            function(pos[:, :2], {"triangle": torch.tensor([[0, 1, 2]])})
