import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf import HexMesh, IslandError, Material, PartWarning, Process, find_unsupported
from lpbf.core.base_plate import BasePlate
from lpbf.core.table import Table
from lpbf.mechanics.build import CLAMPED, PART, PLATE, POWDER, POWDER_STIFFNESS, make_build


def positions(mesh, origin=(0.0, 0.0, 0.0)):
    """Lower corners of the cells on the part's grid."""
    low = mesh.points[mesh.cells[:, 0]]
    return np.rint((low - np.array(origin)) / mesh.spacing).astype(int)


def first_layers(mesh, cell_layer):
    out = np.full(mesh.num_nodes, 10**6)
    for nodes, layer in zip(mesh.cells, cell_layer, strict=True):
        out[nodes] = np.minimum(out[nodes], layer)
    return out


@pytest.mark.parametrize("rows", [1, 2, 3, 6])
def test_layers_of_several_rows(steel, table, rows):
    process = Process(
        material=steel,
        layer_height=rows * table.spacing[2],
        inherent_strain=(-0.004, -0.001, -0.002),
        scan_rotation=67.0,
    )
    build = make_build(table, process)
    assert build.part is table
    assert build.mesh is table
    assert build.cell_stiffness is None
    assert build.rows_per_layer == rows
    assert build.num_layers == -(-6 // rows)
    layer = table.cell_index[:, 2] // rows
    np.testing.assert_array_equal(build.cell_layer, layer)
    for n in range(build.num_layers):
        cells = build.layer_cells(n)
        np.testing.assert_array_equal(np.arange(table.num_cells)[cells], np.flatnonzero(layer == n))
        np.testing.assert_array_equal(build.layer_strain[n], process.layer_strain(n))
        np.testing.assert_array_equal(
            build.cell_strain[cells], np.tile(process.layer_strain(n), (len(layer[cells]), 1))
        )
    owners = first_layers(table, layer)
    np.testing.assert_array_equal(build.solid_node_layer, owners)
    owners[table.points[:, 2] == 0] = CLAMPED
    np.testing.assert_array_equal(build.node_layer, owners)
    np.testing.assert_array_equal(build.part_nodes, np.arange(table.num_nodes))


def test_a_layer_that_is_not_full(steel):
    mesh = HexMesh.from_mask(np.ones((2, 2, 5)), 0.5)
    build = make_build(mesh, Process(material=steel, layer_height=1.0))
    assert [build.layer_cells(n) for n in range(3)] == [slice(0, 8), slice(8, 16), slice(16, 20)]


def check_part(build, mesh):
    """The part's cells and nodes are in the mesh of the build, in their order."""
    own, whole = positions(mesh, mesh.origin), positions(build.mesh, mesh.origin)
    np.testing.assert_array_equal(whole[build.is_part], own)
    np.testing.assert_allclose(build.mesh.points[build.part_nodes], mesh.points, atol=1e-12)
    np.testing.assert_array_equal(
        np.searchsorted(build.part_nodes, build.mesh.cells[build.is_part]), mesh.cells
    )
    layer = own[:, 2] // build.rows_per_layer
    np.testing.assert_array_equal(build.cell_layer[build.is_part], layer)
    np.testing.assert_array_equal(build.solid_node_layer, first_layers(mesh, layer))
    assert (np.diff(build.cell_layer) >= 0).all()
    assert (build.cell_strain[~build.is_part] == 0).all()
    clamped = build.mesh.points[:, 2] < build.mesh.points[:, 2].min() + 1e-9
    np.testing.assert_array_equal(build.node_layer == CLAMPED, clamped)
    owners = first_layers(build.mesh, build.cell_layer)
    np.testing.assert_array_equal(build.node_layer[~clamped], owners[~clamped])


def test_base_plate(steel, table):
    mesh = HexMesh.from_mask(table.mask, table.spacing, origin=(-2.0, 5.0, 1.0))
    plate = BasePlate(thickness=2.1, margin=2.6, youngs_modulus=70_000.0)
    process = Process(material=steel, layer_height=1.4, base_plate=plate)
    build = make_build(mesh, process)
    check_part(build, mesh)
    index = positions(build.mesh, mesh.origin)
    below = index[:, 2] < 0
    np.testing.assert_array_equal(build.cell_kind == PLATE, below)
    # Full, three voxels thick; 2.6 mm are three voxels of 1 mm and two of 1.3 mm.
    assert below.sum() == (5 + 6) * (4 + 4) * 3
    assert index.min(axis=0).tolist() == [-3, -2, -3]
    assert index[below].max(axis=0).tolist() == [7, 5, -1]
    assert (build.cell_layer[below] == 0).all()
    np.testing.assert_allclose(build.cell_stiffness, np.where(below, 0.35, 1.0))
    assert build.num_layers == 3
    assert build.mesh.points[:, 2].min() == pytest.approx(1.0 - 2.1)


def test_elasticity_at_the_temperature_of_the_process(table):
    metal = Material("metal", Table((20, 420), (200_000.0, 100_000.0)), 0.3)
    plate = BasePlate(thickness=1.0, margin=0.0, youngs_modulus=75_000.0)
    build = make_build(table, Process(material=metal, temperature=220.0, base_plate=plate))
    np.testing.assert_allclose(np.linalg.inv(build.brick.elasticity)[0, 0], 1 / 150_000.0)
    np.testing.assert_allclose(build.cell_stiffness[build.cell_kind == PLATE], 0.5)


def test_a_thin_plate_of_the_parts_own_material(steel, table):
    plate = BasePlate(thickness=0.01, margin=0.0)
    build = make_build(table, Process(material=steel, base_plate=plate))
    check_part(build, table)
    assert build.cell_stiffness is None
    assert (build.cell_kind == PLATE).sum() == 5 * 4  # at least a row of voxels


def overhangs():
    """Unsupported voxels over the plate, the part and each other; some join the part above."""
    mask = np.zeros((7, 2, 8), dtype=bool)
    mask[0, :, :] = True
    mask[1:4, :, 5] = True  # supported by its side
    mask[2, :, 2:6] = True  # over the plate, joins it
    mask[4:6, :, 0] = True
    mask[5, :, 3] = True  # over the part
    mask[3, :, 7] = True  # over the arm, which needs no powder
    mask[4:7, :, 4] = True  # on unsupported voxels, and over more powder
    return mask


def test_powder(steel):
    mesh = HexMesh.from_mask(overhangs(), 1.0)
    build = make_build(mesh, Process(material=steel, islands="powder"))
    check_part(build, mesh)
    expected = np.zeros_like(mesh.mask)
    expected[2, :, :2] = True
    expected[5, :, 1:3] = True
    expected[3, :, 6] = True
    expected[4, :, 1:4] = True
    expected[6, :, :4] = True
    index = positions(build.mesh)
    found = np.zeros_like(expected)
    found[tuple(index[build.cell_kind == POWDER].T)] = True
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_array_equal(
        build.cell_stiffness, np.where(build.cell_kind == POWDER, POWDER_STIFFNESS, 1.0)
    )


@settings(deadline=None, max_examples=25)
@given(st.data())
def test_powder_supports_all_cells_of_each_layer_by_faces(steel, masks, data):
    """The part is found in the build, with a plate or without."""
    mesh = HexMesh.from_mask(data.draw(masks(4, 3, 6)), 1.0)
    plate = data.draw(st.sampled_from([None, BasePlate(thickness=1.0, margin=1.0)]))
    rows = data.draw(st.integers(1, 3))
    process = Process(material=steel, layer_height=rows, islands="powder", base_plate=plate)
    build = make_build(mesh, process)
    check_part(build, mesh)
    solid = build.mesh.mask
    supported = np.zeros_like(solid)
    supported[:, :, 0] = solid[:, :, 0]
    for k in range(1, solid.shape[2]):
        supported[:, :, k] = solid[:, :, k] & supported[:, :, k - 1]
        for _ in range(sum(solid.shape)):
            row = np.pad(supported[:, :, k], 1)
            near = row[2:, 1:-1] | row[:-2, 1:-1] | row[1:-1, 2:] | row[1:-1, :-2]
            supported[:, :, k] |= solid[:, :, k] & near
    np.testing.assert_array_equal(supported, solid)


def test_without_islands_powder_changes_nothing(steel, table):
    build = make_build(table, Process(material=steel, islands="powder"))
    assert build.mesh is table
    assert build.is_part.all()
    assert (build.cell_kind == PART).all()


def test_dropped_islands_are_not_in_the_build(steel):
    mesh = HexMesh.from_mask(overhangs(), 1.0)
    with pytest.warns(PartWarning, match="the mesh: dropped 6 islands"):
        build = make_build(mesh, Process(material=steel, islands="drop"))
    unsupported, islands = find_unsupported(mesh)
    assert len(islands) == 6
    np.testing.assert_array_equal(build.part.mask, mesh.mask & ~unsupported)
    assert build.mesh is build.part


def test_what_cannot_be_built(steel, table):
    with pytest.raises(IslandError, match="the mesh: 6 islands are unsupported .*'powder'"):
        make_build(HexMesh.from_mask(overhangs(), 1.0), Process(material=steel))
    floating = np.zeros((2, 2, 3))
    floating[:, :, 1:] = 1
    for islands in ("refuse", "powder"):
        with pytest.raises(ValueError, match="rests on the plate"):
            make_build(HexMesh.from_mask(floating, 1.0), Process(islands=islands))
    with pytest.raises(ValueError, match="multiple of the voxel"):
        make_build(table, Process(layer_height=1.0))
