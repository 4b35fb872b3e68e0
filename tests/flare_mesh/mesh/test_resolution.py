import numpy as np
import pytest
import pyvista
import torch
from torch_geometric.data import Batch

from flare_mesh import MeshData, read_mesh, write_mesh
from flare_mesh.datasets import MeshFolder

UTM = (388000.0, 3948000.0, 0.0)


def site(*, near=UTM, step=1.0):
    """Squares of triangles, one field; the area of each triangle is step**2 / 2."""
    grid = pyvista.ImageData(dimensions=(9, 9, 1), spacing=(step, step, 1)).triangulate()
    grid = grid.cast_to_unstructured_grid()
    grid.point_data["u"] = grid.points[:, 0].copy()
    grid.points = grid.points.astype(np.float64) + np.array(near) + (0.3, 0.7, 0)
    return grid


def test_utm_is_refused_with_an_origin_that_works(tmp_path):
    site().save(tmp_path / "site.vtu")
    with pytest.raises(
        ValueError, match=r"site\.vtu: float32 resolves .* origin=\((.*)\)"
    ) as error:
        read_mesh(tmp_path / "site.vtu")
    text = str(error.value).partition("origin=(")[2].partition(")")[0]
    mesh = read_mesh(tmp_path / "site.vtu", origin=tuple(map(float, text.split(","))))
    assert mesh.measures.numpy() == pytest.approx(0.5, rel=1e-5)
    assert mesh.pos.dtype == torch.float32


def test_float64_needs_no_origin(tmp_path):
    site().save(tmp_path / "site.vtu")
    mesh = read_mesh(tmp_path / "site.vtu", dtype=torch.float64)
    assert mesh.measures.numpy() == pytest.approx(0.5, rel=1e-9)


@pytest.mark.parametrize(
    ("near", "step"), [((0, 0, 0), 1e-3), ((100, 0, 0), 1), (UTM, 1000), ((10, 0, 0), 0.1)]
)
def test_resolved_coordinates_are_read(near, step):
    MeshData.from_pyvista(site(near=near, step=step))


def test_points_without_cells():
    points = np.random.default_rng(0).random((1000, 3)) + UTM
    with pytest.raises(ValueError, match="float32 resolves"):
        MeshData.from_pyvista(pyvista.PolyData(points, np.empty(0, int)))


@pytest.mark.parametrize("suffix", [".vtu", ".vtk", ".xdmf"])
def test_origin_is_added_where_a_mesh_is_written(tmp_path, suffix):
    grid = site()
    mesh = MeshData.from_pyvista(grid, origin=UTM)
    assert mesh.origin == UTM
    write_mesh(tmp_path / f"copy{suffix}", mesh)
    copy = read_mesh(tmp_path / f"copy{suffix}", dtype=torch.float64)
    np.testing.assert_allclose(copy.pos.numpy(), grid.points, rtol=0, atol=1e-5)


def test_origin_follows_the_mesh():
    meshes = [MeshData.from_pyvista(site(), origin=UTM) for _ in range(2)]
    batch = Batch.from_data_list(meshes)
    assert batch.origin == batch[1].origin == meshes[0].boundary().origin == UTM
    assert meshes[0].node_fields.keys() == {"u"}
    assert not meshes[0].case_fields
    meshes[0].origin = None
    assert meshes[0].origin is None
    with pytest.raises(ValueError, match="three finite coordinates"):
        meshes[0].origin = (1.0, 2.0)


def test_folder_with_an_origin(tmp_path):
    site().save(tmp_path / "site.vtu")
    with pytest.raises(ValueError, match="float32 resolves"):
        MeshFolder(tmp_path, None, targets=["u"])
    for _ in range(2):  # from the file, from the cache
        data = MeshFolder(tmp_path, None, targets=["u"], origin=UTM)
        assert data[0].origin == data.recipe().origin == UTM
        # Another origin is another case in the cache.
        other = MeshFolder(tmp_path, None, targets=["u"], origin=(388000.0, 3948000.0, 5.0))
        assert other[0].pos[:, 2].unique().tolist() == [-5]
        assert data[0].pos.min(0).values.tolist() == pytest.approx([0.3, 0.7, 0], abs=1e-5)
