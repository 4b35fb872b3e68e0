import math

import numpy as np
import pytest
import torch
import trimesh
from torch_geometric.data import Batch, Data

from flare_mesh import MeshData
from flare_mesh.data.transforms import (
    GeometryFeatures,
    RandomReflection,
    RandomRotation,
    RandomSquareSymmetry,
    ToReferenceFrame,
)
from flare_mesh.data.transforms.channels import Channel
from flare_mesh.data.transforms.square_columns import square_columns
from flare_mesh.mesh.cells import CELL_TYPES, reflected_order
from flare_mesh.testing import unit_mesh
from lpbf import HexMesh

VOLUMES = [kind for kind, cell in CELL_TYPES.items() if cell.dim == 3]
FLAT = [kind for kind, cell in CELL_TYPES.items() if cell.dim == 2]
ALL = dict.fromkeys(
    (
        *("position", "size", "boundary_distance", "boundary_direction", "boundary"),
        *("normals", "weight", "context"),
    ),
    True,
)


def block(*cells, pitch=1.0, corner=(0.0, 0.0, 0.0)):
    mesh = HexMesh.from_mask(np.ones(cells), pitch, origin=corner)
    return MeshData(pos=torch.from_numpy(mesh.points), hexahedron=torch.from_numpy(mesh.cells))


def bent():
    """A mesh without any symmetry, of 16 hexahedra."""
    mask = np.ones((4, 3, 2), dtype=bool)
    mask[2:, :, 1] = mask[3, 1:, 0] = False
    mesh = HexMesh.from_mask(mask, 1.0)
    return MeshData(pos=torch.from_numpy(mesh.points), hexahedron=torch.from_numpy(mesh.cells))


def flat(kind, pos_dim=2):
    pos, cells = unit_mesh(kind, pos_dim=pos_dim)
    return MeshData(pos, **cells)


def sphere(radius=2.5):
    ball = trimesh.creation.icosphere(subdivisions=3, radius=radius)
    return MeshData(
        pos=torch.from_numpy(np.array(ball.vertices)), triangle=torch.from_numpy(ball.faces.copy())
    )


def feature(transform, data, name):
    """Columns of one feature."""
    before = 0 if data.x is None else data.x.shape[1]
    first = transform.columns(before, data.pos.shape[1])
    ends = [*first.values(), before + len(transform.channels(data.pos.shape[1]))]
    start = first[name]
    return transform(data).x[:, start : min(end for end in ends if end > start)]


def test_a_block():
    data = block(4, 6, 2, corner=(10.0, 20.0, -30.0))
    data.x = torch.arange(len(data.pos), dtype=torch.float64)[:, None]
    out = GeometryFeatures(**ALL)(data)
    centred = data.pos - torch.tensor([12.0, 23.0, -29.0])
    torch.testing.assert_close(out.pos, centred)
    torch.testing.assert_close(out.x[:, :1], data.x)
    half = torch.tensor([2.0, 3.0, 1.0], dtype=torch.float64)
    torch.testing.assert_close(out.x[:, 1:4], centred / half)
    expected = torch.tensor([4.0, 6.0, 2.0, 48.0], dtype=torch.float64).log()
    torch.testing.assert_close(out.x[:, 4:8], expected.expand(len(centred), 4))
    distance = (half - centred.abs()).amin(1)
    torch.testing.assert_close(out.x[:, 8], distance / 3)
    assert out.x[:, 12].tolist() == (distance == 0).double().tolist()
    outside = torch.where(centred.abs() == half, centred.sign(), 0.0)
    normals = outside / outside.norm(dim=1, keepdim=True).clamp(min=1)
    torch.testing.assert_close(out.x[:, 13:16], normals)
    # Inside, the mean over the faces that are equally near; opposite ones cancel.
    ways = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    near = torch.cat([half + centred, half - centred], dim=1) == distance[:, None]
    inward = near.double() @ ways / near.sum(1, keepdim=True)
    direction = torch.where((distance == 0)[:, None], -normals, inward)
    torch.testing.assert_close(out.x[:, 9:12], direction)
    # The lumped mass: a factor of 1/2 for each direction in which the node is at a face.
    share = 0.5 ** outside.abs().sum(1)
    torch.testing.assert_close(out.x[:, 16], (share / share.mean()).log())
    assert out.x.shape[1] == 17 + 3 * 7


def test_context_of_a_block():
    """Against the integral over the block, a product of error functions."""
    data = block(24, 12, 8)
    got = feature(GeometryFeatures(), data, "context").view(-1, 3, 7)
    pos, ends = data.pos - torch.tensor([12.0, 6.0, 4.0]), torch.tensor([12.0, 6.0, 4.0])
    for window in range(3):
        width = 2.0**window
        low, high = (-ends - pos) / width, (ends - pos) / width
        bell = torch.stack([torch.exp(-(z**2) / 2) / math.sqrt(2 * math.pi) for z in (low, high)])
        share = torch.special.ndtr(high) - torch.special.ndtr(low)
        mean = (bell[0] - bell[1]) / share
        variance = 1 + (low * bell[0] - high * bell[1]) / share - mean**2
        expected = share.prod(1)
        torch.testing.assert_close(got[:, window, 0], expected, rtol=0, atol=0.02)
        torch.testing.assert_close(got[:, window, 1:4], mean, rtol=0, atol=0.1)
        torch.testing.assert_close(got[:, window, 4:], variance, rtol=0, atol=0.1)


def test_context_does_not_depend_on_the_mesh():
    data = [block(12, 6, 6), block(24, 12, 12, pitch=0.5)]
    coarse, fine = (feature(GeometryFeatures(), mesh, "context") for mesh in data)
    shared = torch.cdist(data[0].pos, data[1].pos).argmin(1)
    torch.testing.assert_close(coarse, fine[shared], rtol=0, atol=0.03)


def test_the_data_are_not_changed():
    data = block(2, 2, 2)
    before = data.pos.clone()
    GeometryFeatures()(data)
    assert data.x is None
    assert torch.equal(data.pos, before)


@pytest.mark.parametrize("kind", VOLUMES)
def test_every_solid_cell(kind):
    pos, cells = unit_mesh(kind)
    transform = GeometryFeatures(**ALL)
    out = transform(MeshData(3 * pos - 7, **cells))
    assert out.x.shape == (len(pos), len(transform.channels(3)))
    torch.testing.assert_close(
        out.x[:, 3:7], torch.tensor([[3, 3, 3, 27.0]]).log().expand(len(pos), 4).double()
    )
    torch.testing.assert_close(out.x[:, 7], (0.5 - (pos - 0.5).abs()).amin(1) * 2)
    assert torch.equal(out.x[:, 11] == 1, out.x[:, 7] == 0)


@pytest.mark.parametrize("kind", FLAT)
@pytest.mark.parametrize("axis", [None, 0, 1, 2])
def test_flat_cells_in_the_plane_and_in_space(kind, axis):
    flat, cells = unit_mesh(kind)
    pos = flat * torch.tensor([2.0, 5.0])
    if axis is not None:
        columns = [*pos.T]
        columns.insert(axis, torch.full((len(pos),), 8.0))
        pos = torch.stack(columns, dim=1)
    transform = GeometryFeatures("plane", **ALL)
    out = transform(MeshData(pos, **cells))
    assert out.pos.shape == pos.shape
    channels = 2 + 3 + 1 + 2 + 1 + 2 + 1 + 3 * 5
    assert out.x.shape == (len(pos), channels) == (len(pos), len(transform.channels(3)))
    torch.testing.assert_close(out.x[:, :2], 2 * flat - 1)
    torch.testing.assert_close(out.x[0, 2:5].exp(), torch.tensor([2.0, 5.0, 10.0]).double())
    edge = torch.tensor([2.0, 5.0]) * (0.5 - (flat - 0.5).abs())
    torch.testing.assert_close(out.x[:, 5], edge.amin(1) / 2.5)
    assert torch.equal(out.x[:, 8] == 1, edge.amin(1) == 0)
    # Outward, whatever the side of the plane from which the cells are anticlockwise.
    corner = (flat == 0).all(1)
    assert bool((out.x[corner, 9:11] < 0).all())
    torch.testing.assert_close(out.x[corner, 6:8], -out.x[corner, 9:11])


def test_a_sphere():
    data = sphere()
    transform = GeometryFeatures("surface")
    out = transform(data)
    assert [*transform.columns(2, 3)] == [
        *("position", "size", "boundary", "normals", "curvature", "context"),
    ]
    assert out.x.shape[1] == 3 + 4 + 1 + 3 + 1 + 3 * 7
    assert not bool(out.x[:, 7].any())
    assert float((out.x[:, 8:11] * data.pos / 2.5).sum(1).min()) > 0.9995
    # 1/R times half the largest extent.
    torch.testing.assert_close(
        out.x[:, 11].sinh(), torch.ones(len(data.pos)).double(), rtol=0.07, atol=0
    )
    area = trimesh.Trimesh(data.pos, data.triangle).area
    assert math.isclose(float(out.x[0, 6].exp()), area, rel_tol=1e-9)


def test_an_open_surface():
    pos, cells = unit_mesh("quad9", pos_dim=3)
    bowl = pos.clone()
    bowl[:, 2] = 0.3 * ((pos[:, :2] - 0.5) ** 2).sum(1)
    transform = GeometryFeatures("surface", boundary_distance=True)
    rim = ((pos[:, :2] == 0) | (pos[:, :2] == 1)).any(1)
    data = MeshData(bowl, **cells)
    assert torch.equal(feature(transform, data, "boundary")[:, 0] == 1, rim)
    assert torch.equal(feature(transform, data, "boundary_distance")[:, 0] == 0, rim)
    with pytest.raises(ValueError, match="closed surface has no boundary; leave out boundary_dist"):
        transform(sphere())


@pytest.mark.parametrize("mirrored", [slice(None), slice(None, None, 3)])
def test_inverted_cells_change_nothing(mirrored):
    """As a mesh generator may leave a mirrored part."""
    data = bent()
    cells = data.hexahedron.clone()
    cells[mirrored] = cells[mirrored][:, list(reflected_order("hexahedron"))]
    transform = GeometryFeatures(normals=True)
    got = transform(MeshData(data.pos, hexahedron=cells)).x
    torch.testing.assert_close(got, transform(data).x)


def test_points():
    pos = torch.rand(9, 2)
    transform = GeometryFeatures("points", context=False)
    out = transform(Data(pos=pos))
    assert out.x.shape == (9, 4)
    torch.testing.assert_close(out.x[:, :2].abs().amax(0), torch.ones(2))
    torch.testing.assert_close(out.x[0, 2:].exp(), pos.amax(0) - pos.amin(0))
    # Flat in space: no infinite logarithm.
    flat = transform(Data(pos=torch.cat([pos, torch.ones(9, 1)], dim=1)))
    largest = (pos.amax(0) - pos.amin(0)).max()
    torch.testing.assert_close(flat.x[0, 3:].exp()[2], 1e-4 * largest)
    assert not bool(flat.x[:, 2].any())
    # Cells are not needed, and a weight is.
    weighted = Data(pos=pos, weight=torch.rand(9))
    got = feature(GeometryFeatures("points", weight=True), weighted, "weight")[:, 0]
    torch.testing.assert_close(got, (weighted.weight / weighted.weight.mean()).log())


def test_translation_changes_nothing_even_far_from_the_origin():
    data = bent()
    near = GeometryFeatures()(MeshData(data.pos.float(), **data.cells))
    far = GeometryFeatures()(MeshData((data.pos + 2.0**20).float(), **data.cells))
    assert torch.equal(near.pos, far.pos)
    assert torch.equal(near.x, far.x)


def test_node_order_changes_nothing():
    data = bent()
    order = torch.randperm(len(data.pos), generator=torch.Generator().manual_seed(0))
    moved = MeshData(data.pos[order], hexahedron=order.argsort()[data.hexahedron])
    torch.testing.assert_close(
        GeometryFeatures(**ALL)(moved).x, GeometryFeatures(**ALL)(data).x[order]
    )


@pytest.mark.parametrize("seed", range(3))
def test_features_in_the_reference_frame_are_invariant_to_rotation(seed):
    torch.manual_seed(seed)
    data = bent()
    features = {"kind": "volume", **ALL}
    frame, geometry = ToReferenceFrame(principal_axes=True), GeometryFeatures(**features)
    moved = MeshData(RandomRotation()(data).pos.float() + 5, **data.cells)
    one, two = geometry(frame(data)), geometry(frame(moved))
    torch.testing.assert_close(two.x.double(), one.x, rtol=0, atol=1e-5)
    torch.testing.assert_close(two.pos.double(), one.pos, rtol=0, atol=1e-5)


def test_columns_that_augmentations_change():
    """The features of a reflected mesh are the reflected features."""
    torch.manual_seed(0)
    data = bent()
    data.pos[:, 0] *= 1.5
    data.x = torch.ones(len(data.pos), 2)
    transform = GeometryFeatures(**ALL)
    columns = transform.columns(2, 3)
    features = transform(data)
    windows = [columns["context"] + 7 * window for window in range(3)]
    vectors = {"x": [columns[n] for n in ("position", "boundary_direction", "normals")]}
    vectors["x"] += [first + 1 for first in windows]
    sizes = {"x": [columns["size"], *(first + 4 for first in windows)]}
    known = [Channel("load"), Channel("thickness"), *transform.channels(3)]
    assert square_columns(known) == (sorted(vectors["x"]), sorted(sizes["x"]))
    for seed in range(4):
        torch.manual_seed(seed)
        moved = RandomReflection(vectors=vectors)(features)
        again = transform(MeshData(moved.pos, x=data.x, **moved.cells))
        torch.testing.assert_close(again.x, moved.x)
        square = RandomSquareSymmetry(vectors={**vectors, "pos": (0,)}, sizes=sizes)
        moved = square(features)
        again = transform(MeshData(moved.pos, x=data.x, **moved.cells))
        torch.testing.assert_close(again.x, moved.x)


def test_options():
    names = ("size", "position", "boundary_distance", "boundary_direction", "boundary", "context")
    off = GeometryFeatures(**dict.fromkeys(names, False))
    data = block(2, 1, 1)
    out = off(data)
    assert out.x is None
    torch.testing.assert_close(out.pos, data.pos - torch.tensor([1.0, 0.5, 0.5]))
    kept = GeometryFeatures(center=False)(data)
    assert torch.equal(kept.pos, data.pos)
    assert torch.equal(kept.x, GeometryFeatures()(data).x)
    names = [channel.name for channel in GeometryFeatures(boundary_distance=False).channels(3)]
    assert names[3:13] == [
        "size along x",
        "size along y",
        "size along z",
        "volume",
        "direction x from the boundary",
        "direction y from the boundary",
        "direction z from the boundary",
        "mark of the boundary",
        "share of solid in a window of 1/24 of the size",
        "mean offset x in a window of 1/24 of the size",
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "solid"}, "unknown kind 'solid'; choose from"),
        ({"kind": "points", "boundary": True}, "kind 'points' has no boundary; leave it out"),
        ({"kind": "points", "normals": True, "curvature": True}, "has no normals, curvature;"),
        ({"curvature": True}, "kind 'volume' has no curvature"),
        ({"kind": "surface", "boundary_direction": True}, "'surface' has no boundary_direction"),
        ({"size": "yes"}, "expected true or false for size .got 'yes'"),
        ({"center": None}, "expected true or false for center .got None"),
        (
            {"kind": "points", "center": False}
            | dict.fromkeys(("position", "size", "context"), False),
            "expected at least one feature or center=True",
        ),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        GeometryFeatures(**options)


def test_bad_meshes():
    quads = flat("quad", pos_dim=3)
    solid = block(1, 1, 1)
    twisted = MeshData(torch.eye(4)[:, :3], triangle=torch.tensor([[0, 1, 2], [1, 2, 3]]))
    for options, data, message in (
        ({}, Batch.from_data_list([solid]), "expected a single mesh"),
        (
            {},
            quads,
            "kind 'volume' needs cells such as tetra or hexahedron .got quad.; choose kind 'sur",
        ),
        ({"kind": "surface"}, solid, "got hexahedron.; choose kind 'volume'"),
        ({"kind": "plane"}, Data(pos=torch.rand(4, 2)), "got no cells.; choose kind 'points'"),
        (
            {"kind": "plane"},
            sphere(),
            "needs a flat mesh with one constant coordinate .got a size of 5 x",
        ),
        ({"kind": "surface"}, flat("quad"), "needs coordinates in 3 dim"),
        ({"kind": "points"}, Data(pos=torch.ones(3, 2)), "finite coordinates that differ"),
        ({"kind": "points"}, Data(pos=torch.ones(0, 2)), "at least one node"),
        ({"kind": "points", "weight": True}, Data(pos=torch.eye(3)), "points without 'weight'"),
        ({"kind": "surface"}, twisted, "faces with one orientation for normals .got 1 edges"),
    ):
        with pytest.raises(ValueError, match=message):
            GeometryFeatures(**options)(data)
    solid.x = torch.rand(3, 1)
    with pytest.raises(ValueError, match=r"expected 'x' of shape \[8, C\] .got \[3, 1\]"):
        GeometryFeatures()(solid)
