"""Expected values from the XDMF model and the files that dolfinx and dolfin write."""

import re

import h5py
import numpy as np
import pytest

from flare_mesh import read_mesh
from flare_mesh.io import MeshFileWarning, mesh_times

TOPOLOGY = (
    '<Topology TopologyType="Triangle" NumberOfElements="2" NodesPerElement="3">'
    '<DataItem Dimensions="2 3" NumberType="Int" Format="XML">0 1 2 0 2 3</DataItem></Topology>'
)
GEOMETRY = (
    '<Geometry GeometryType="XY"><DataItem Dimensions="4 2" Format="XML" Precision="8">'
    "0 0 1 0 1 1 0 1</DataItem></Geometry>"
)
INCLUDE = (
    "<xi:include xpointer=\"xpointer(/Xdmf/Domain/Grid[@GridType='Uniform'][1]"
    '/*[self::Topology or self::Geometry])"/>'
)
DOCTYPE = '<!DOCTYPE Xdmf SYSTEM "Xdmf.dtd" []>'


def attribute(name, values, center="Node"):
    values = np.atleast_2d(np.asarray(values, float).T).T
    dims, text = " ".join(map(str, values.shape)), " ".join(map(repr, values.ravel().tolist()))
    return (
        f'<Attribute Name="{name}" AttributeType="Scalar" Center="{center}"><DataItem '
        f'Dimensions="{dims}" Format="XML" Precision="8">{text}</DataItem></Attribute>'
    )


def grid(*parts, name="mesh"):
    return f'<Grid Name="{name}" GridType="Uniform">{"".join(parts)}</Grid>'


def series(name, *steps, kind="Temporal"):
    head = f'<Grid Name="{name}" GridType="Collection" CollectionType="{kind}">'
    return f"{head}{''.join(steps)}</Grid>"


def write(path, *grids, doctype="", version="3.0"):
    path.write_text(
        f'<?xml version="1.0"?>{doctype}<Xdmf Version="{version}" '
        f'xmlns:xi="https://www.w3.org/2001/XInclude"><Domain>{"".join(grids)}</Domain></Xdmf>'
    )
    return path


def test_functions_of_dolfinx(tmp_path):
    """The mesh, then one collection for each function; dolfinx names a document type."""
    steps = {
        name: [
            grid(
                INCLUDE, f'<Time Value="{0.5 * t}"/>', attribute(name, [t, 1, 2, scale]), name=name
            )
            for t in range(3)
        ]
        for name, scale in (("u", 10), ("p", 20))
    }
    file = write(
        tmp_path / "run.xdmf",
        grid(TOPOLOGY, GEOMETRY),
        *(series(name, *grids) for name, grids in steps.items()),
        doctype=DOCTYPE,
    )
    assert mesh_times(file) == [0.0, 0.5, 1.0]
    with pytest.raises(ValueError, match=r"has 3 time steps.*their times are 0, 0\.5, 1"):
        read_mesh(file)
    mesh = read_mesh(file, step=-1)
    assert mesh.u.ravel().tolist() == [2, 1, 2, 10]
    assert mesh.p.ravel().tolist() == [2, 1, 2, 20]
    assert float(mesh.measures.sum()) == pytest.approx(1)


def test_static_result(tmp_path):
    """One function at one time is a single mesh."""
    step = grid(INCLUDE, '<Time Value="0"/>', attribute("u", [1, 2, 3, 4]), name="u")
    file = write(tmp_path / "a.xdmf", grid(TOPOLOGY, GEOMETRY), series("u", step), doctype=DOCTYPE)
    assert read_mesh(file).u.ravel().tolist() == [1, 2, 3, 4]


def test_steps_of_dolfin(tmp_path):
    """dolfin 2019 writes the mesh in the first step, in HDF5, and includes it in the others."""
    with h5py.File(tmp_path / "run.h5", "w") as h5:
        h5["Mesh/mesh/topology"] = np.array([[0, 1, 2], [0, 2, 3]], np.uint32)
        h5["Mesh/mesh/geometry"] = [[0.0, 0], [1, 0], [1, 1], [0, 1]]
        h5["VisualisationVector/0"] = [[1.0], [2], [3], [4]]
        h5["VisualisationVector/1"] = [[5.0], [6], [7], [8]]

    def item(dims, place, kind):
        return f'<DataItem Dimensions="{dims}" {kind} Format="HDF">run.h5:{place}</DataItem>'

    def field(number):
        values = item("4 1", f"/VisualisationVector/{number}", "")
        return f'<Attribute Name="u" AttributeType="Scalar" Center="Node">{values}</Attribute>'

    nodes = item("2 3", "/Mesh/mesh/topology", 'NumberType="UInt"')
    first = (
        '<Topology NumberOfElements="2" TopologyType="Triangle" NodesPerElement="3">'
        f"{nodes}</Topology>"
        f'<Geometry GeometryType="XY">{item("4 2", "/Mesh/mesh/geometry", "")}</Geometry>'
    )
    again = (
        '<xi:include xpointer="xpointer(//Grid[@Name=&quot;TimeSeries&quot;]/Grid[1]/*[self::'
        'Topology or self::Geometry])"/>'
    )
    file = write(
        tmp_path / "run.xdmf",
        series(
            "TimeSeries",
            grid(first, '<Time Value="0"/>', field(0)),
            grid(again, '<Time Value="2e-1"/>', field(1)),
        ),
    )
    assert mesh_times(file) == [0.0, 0.2]
    assert read_mesh(file, step=1).u.ravel().tolist() == [5, 6, 7, 8]
    h5py.File(tmp_path / "run.h5", "a").close()  # no longer open


def test_moving_mesh(tmp_path):
    """Each step has its own points."""
    moved = GEOMETRY.replace("0 0 1 0 1 1 0 1", "0 0 2 0 2 1 0 1")
    steps = [
        grid(TOPOLOGY, points, f'<Time Value="{t}"/>') for t, points in enumerate([GEOMETRY, moved])
    ]
    file = write(tmp_path / "a.xdmf", series("s", *steps))
    areas = [float(read_mesh(file, step=step).measures.sum()) for step in (0, 1)]
    assert areas == pytest.approx([1, 2])


def test_times_of_the_collection(tmp_path):
    steps = [grid(TOPOLOGY, GEOMETRY) for _ in range(3)]
    listed = '<Time TimeType="List"><DataItem Dimensions="3" Format="XML">1 2 4</DataItem></Time>'
    assert mesh_times(write(tmp_path / "a.xdmf", series("s", listed, *steps))) == [1, 2, 4]
    spaced = listed.replace("List", "HyperSlab").replace("1 2 4", "5 0.5 3")
    assert mesh_times(write(tmp_path / "b.xdmf", series("s", spaced, *steps))) == [5, 5.5, 6]
    assert mesh_times(write(tmp_path / "c.xdmf", series("s", *steps))) == [0, 1, 2]


def test_tags_of_facets_are_left_out_with_a_warning(tmp_path):
    facets = (
        '<Topology TopologyType="PolyLine" NumberOfElements="1" NodesPerElement="2">'
        '<DataItem Dimensions="1 2" NumberType="Int" Format="XML">0 1</DataItem></Topology>'
    )
    points = '<xi:include xpointer="xpointer(/Xdmf/Domain/Grid/Geometry)"/>'
    tags = grid(points, facets, attribute("facet_tags", [7], "Cell"), name="facet_tags")
    file = write(
        tmp_path / "a.xdmf", grid(TOPOLOGY, GEOMETRY, attribute("k", [1, 2], "Cell")), tags
    )
    with pytest.warns(MeshFileWarning, match="'facet_tags' has other cells than 'mesh'"):
        mesh = read_mesh(file)
    assert list(mesh.cell_fields) == ["k"]
    assert mesh.num_cells == 2


def test_blocks_become_one_mesh(tmp_path):
    block = grid(TOPOLOGY, GEOMETRY, attribute("u", [1, 2, 3, 4]))
    other = grid(TOPOLOGY, GEOMETRY, attribute("u", [5, 6, 7, 8]), attribute("v", [0, 0, 0, 0]))
    mesh = read_mesh(write(tmp_path / "a.xdmf", series("b", block, other, kind="Spatial")))
    assert mesh.u.ravel().tolist() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert list(mesh.node_fields) == ["u"]
    assert mesh.triangle.tolist() == [[0, 1, 2], [0, 2, 3], [4, 5, 6], [4, 6, 7]]


@pytest.mark.parametrize(
    ("topology", "cells"),
    [
        (
            ("Mixed", "9", "4 0 1 2 2 2 0 1 1 1 3"),
            {"triangle": [[0, 1, 2]], "line": [[0, 1]], "vertex": [[3]]},
        ),
        (("Quadrilateral", "1 4", "0 1 2 3"), {"quad": [[0, 1, 2, 3]]}),
        (("Polygon", "1 4", "0 1 2 3"), {"quad": [[0, 1, 2, 3]]}),
        (("Polyvertex", "2", "2 3"), {"vertex": [[2], [3]]}),
        (("Edge_3", "1 3", "0 1 2"), {"line3": [[0, 1, 2]]}),
    ],
)
def test_topologies(tmp_path, topology, cells):
    kind, dims, text = topology
    dims = "11" if kind == "Mixed" else dims
    nodes = ' NodesPerElement="4"' if kind == "Polygon" else ""
    element = (
        f'<Topology TopologyType="{kind}"{nodes}><DataItem Dimensions="{dims}" NumberType="Int" '
        f'Format="XML">{text}</DataItem></Topology>'
    )
    mesh = read_mesh(write(tmp_path / "a.xdmf", grid(element, GEOMETRY), version="2.2"))
    assert {name: nodes.tolist() for name, nodes in mesh.cells.items()} == cells


def test_numbers_from_one(tmp_path):
    topology = TOPOLOGY.replace("<Topology ", '<Topology BaseOffset="1" ').replace(
        "0 1 2 0 2 3", "1 2 3 1 3 4"
    )
    mesh = read_mesh(write(tmp_path / "a.xdmf", grid(topology, GEOMETRY)))
    assert mesh.triangle.tolist() == [[0, 1, 2], [0, 2, 3]]


def test_reference_to_a_data_item(tmp_path):
    points = GEOMETRY.replace("<DataItem ", '<DataItem Name="xy" ')
    copy = '<DataItem Reference="XML">/Xdmf/Domain/Grid/Geometry/DataItem[@Name="xy"]</DataItem>'
    field = f'<Attribute Name="X" Center="Node">{copy}</Attribute>'
    mesh = read_mesh(write(tmp_path / "a.xdmf", grid(TOPOLOGY, points, field)))
    assert mesh.X.tolist() == [[0, 0], [1, 0], [1, 1], [0, 1]]


U, V = attribute("u", [1, 2, 3, 4]), attribute("v", [1, 2, 3, 4])
TIME = ['<Time Value="0"/>', '<Time Value="1"/>', '<Time Value="2"/>']


@pytest.mark.parametrize(
    ("grids", "message"),
    [
        ([], "expected a Grid with Topology and Geometry"),
        ([grid(GEOMETRY)], "lacks its Topology or Geometry"),
        ([grid(TOPOLOGY, GEOMETRY, U, U)], "has two fields 'u'"),
        (
            [grid(TOPOLOGY, GEOMETRY, attribute("u", [1, 2]))],
            "expected 4 rows of the node field 'u'",
        ),
        ([grid(TOPOLOGY, GEOMETRY, U.replace("3.0", "x"))], "expected numbers of type Float"),
        ([grid(TOPOLOGY, GEOMETRY, U.replace(" 4.0<", "<"))], r"in the shape \[4, 1\]"),
        ([grid(TOPOLOGY.replace('Elements="2"', 'Elements="3"'), GEOMETRY)], "expected 3 cells"),
        ([grid(TOPOLOGY.replace("2 3<", "2 2.5<"), GEOMETRY)], "expected numbers of type Int"),
        ([grid(TOPOLOGY, GEOMETRY.replace("XY", "ORIGIN_DXDYDZ"))], "'ORIGIN_DXDYDZ' is not read"),
        ([grid(TOPOLOGY.replace("Triangle", "3DCoRectMesh"), GEOMETRY)], "'3DCoRectMesh'"),
        (
            [grid(TOPOLOGY, GEOMETRY, U.replace("<DataItem", '<DataItem ItemType="HyperSlab"'))],
            "Slab",
        ),
        ([grid(TOPOLOGY, GEOMETRY), grid(TOPOLOGY, GEOMETRY.replace("0 1<", "0 2<"))], "points of"),
        ([grid('<xi:include href="a.xml" xpointer="xpointer(/a)"/>')], "outside|same file"),
        ([grid('<xi:include xpointer="xpointer(/Xdmf/Nothing)"/>')], "does not exist"),
        ([grid('<xi:include xpointer="xpointer(count(//*))"/>')], "is not understood"),
        (
            [
                grid(TOPOLOGY, GEOMETRY),
                series("u", *(grid(INCLUDE, time, U) for time in TIME)),
                series("v", *(grid(INCLUDE, time, V) for time in TIME[:2])),
            ],
            "'u' and 'v' have different times",
        ),
    ],
)
def test_refused(tmp_path, grids, message):
    with pytest.raises(ValueError, match=message) as error:
        read_mesh(write(tmp_path / "a.xdmf", *grids), step=0)
    assert "a.xdmf" in str(error.value)


def test_other_versions(tmp_path):
    with pytest.raises(ValueError, match="of version 2 or 3"):
        read_mesh(write(tmp_path / "a.xdmf", version="9"))


def test_entities_are_refused(tmp_path):
    doctype = '<!DOCTYPE Xdmf [<!ENTITY a "b">]>'
    with pytest.raises(ValueError, match="defines XML entities"):
        read_mesh(write(tmp_path / "a.xdmf", grid(TOPOLOGY, GEOMETRY), doctype=doctype))


def test_cut_files(tmp_path):
    text = write(tmp_path / "a.xdmf", grid(TOPOLOGY, GEOMETRY, U), doctype=DOCTYPE).read_bytes()
    for cut in np.random.default_rng(0).integers(0, len(text) - 1, 25):
        (tmp_path / "b.xdmf").write_bytes(text[:cut])
        with pytest.raises(ValueError, match=re.escape("b.xdmf")):
            read_mesh(tmp_path / "b.xdmf")
