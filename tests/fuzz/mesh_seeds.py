"""Seed files of the mesh formats."""

import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import meshio
import numpy as np
import pyvista
import torch

from flare_mesh import MeshData, write_mesh
from flare_mesh.testing import mixed_mesh
from tests.flare_mesh.io.readers import test_cgns, test_unv


def solid() -> MeshData:
    """Four types of cells, with fields."""
    pos, cells = mixed_mesh()
    mesh = MeshData(pos.float(), **cells)
    mesh.temperature = mesh.pos @ torch.tensor([1.0, 2.0, 3.0])
    mesh.velocity = mesh.pos * 2
    mesh.cell_material = torch.arange(mesh.num_cells)
    return mesh


def grid() -> pyvista.ImageData:
    """A structured grid with a field."""
    grid = pyvista.ImageData(dimensions=(4, 3, 2))
    grid["u"] = np.arange(24.0)
    return grid


def surface() -> meshio.Mesh:
    """A closed surface of triangles."""
    sphere = pyvista.Icosahedron()
    return meshio.Mesh(
        np.asarray(sphere.points), [("triangle", sphere.faces.reshape(-1, 4)[:, 1:])]
    )


def _own(name: str) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        mesh = solid()
        if name.endswith(".inp"):
            mesh = MeshData(mesh.pos, tetra=mesh.tetra, hexahedron=mesh.hexahedron)
        elif name.endswith(".msh"):
            for field in ("temperature", "velocity", "cell_material"):
                del mesh[field]
        write_mesh(folder / name, mesh)

    return write


def _by_meshio(name: str, **options: object) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        tetra = solid().tetra.numpy()
        mesh = meshio.Mesh(solid().pos.numpy().astype(float), [("tetra", tetra)])
        if name.endswith((".ply", ".stl", ".obj")):
            mesh = surface()
        meshio.write(folder / name, mesh, **options)

    return write


def _by_vtk(name: str, *, binary: bool = True, kind: str = "image") -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        mesh: pyvista.DataSet | pyvista.MultiBlock = grid()
        if kind == "rectilinear":
            mesh = grid().cast_to_rectilinear_grid()
        elif kind == "structured":
            mesh = grid().cast_to_structured_grid()
        elif kind == "polydata":
            mesh = pyvista.Icosahedron()
            mesh["u"] = mesh.points[:, 0].copy()
        elif kind == "solid":
            mesh = solid().to_pyvista()
        elif kind == "blocks":
            mesh = pyvista.MultiBlock({"a": solid().to_pyvista(), "b": solid().to_pyvista()})
        mesh.save(folder / name, binary=binary)

    return write


def _xdmf_with_hdf5(folder: Path) -> None:
    mesh = solid()
    with h5py.File(folder / "m.h5", "w") as file:
        file["xyz"], file["u"] = mesh.pos.numpy(), mesh.temperature.numpy()
        file["cells"] = mesh.tetra.numpy()
    points, cells = len(mesh.pos), len(mesh.tetra)

    def item(dims: str, name: str, kind: str = "") -> str:
        return f'<DataItem Dimensions="{dims}" {kind} Format="HDF">m.h5:/{name}</DataItem>'

    nodes = item(f"{cells} 4", "cells", 'NumberType="Int" Precision="8"')
    xyz, field = item(f"{points} 3", "xyz"), item(f"{points}", "u")
    (folder / "m.xdmf").write_text(
        '<Xdmf Version="3.0"><Domain>'
        '<Grid Name="s" GridType="Collection" CollectionType="Temporal"><Grid><Time Value="0.5"/>'
        f'<Topology TopologyType="Tetrahedron" NumberOfElements="{cells}">{nodes}</Topology>'
        f'<Geometry GeometryType="XYZ">{xyz}</Geometry>'
        f'<Attribute Name="u" Center="Node">{field}</Attribute></Grid></Grid></Domain></Xdmf>'
    )


def _pvtu(folder: Path) -> None:
    write_mesh(folder / "piece.vtu", solid())
    arrays = '<PDataArray type="Float32" Name="temperature"/>'
    (folder / "m.pvtu").write_text(
        '<VTKFile type="PUnstructuredGrid" version="0.1" byte_order="LittleEndian">'
        f'<PUnstructuredGrid GhostLevel="0"><PPointData>{arrays}</PPointData><PPoints>'
        '<PDataArray type="Float32" NumberOfComponents="3"/></PPoints>'
        '<Piece Source="piece.vtu"/></PUnstructuredGrid></VTKFile>'
    )


def _collection(folder: Path) -> None:
    write_mesh(folder / "a.vtu", solid())
    write_mesh(folder / "b.vtu", solid())
    (folder / "m.pvd").write_text(
        '<VTKFile type="Collection"><Collection><DataSet timestep="0" file="a.vtu"/>'
        '<DataSet timestep="0.5" file="b.vtu"/></Collection></VTKFile>'
    )


def _gmsh41(folder: Path) -> None:
    (folder / "m.msh").write_text(
        '$MeshFormat\n4.1 0 8\n$EndMeshFormat\n$PhysicalNames\n1\n3 7 "body"\n$EndPhysicalNames\n'
        "$Entities\n0 0 0 1\n1 0 0 0 1 1 1 1 7 0\n$EndEntities\n"
        "$Nodes\n1 5 1 9\n3 1 0 5\n1\n3\n5\n7\n9\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n1 1 1\n$EndNodes\n"
        "$Elements\n1 2 1 2\n3 1 4 2\n1 1 3 5 7\n2 3 5 7 9\n$EndElements\n"
        '$NodeData\n1\n"u"\n1\n0.5\n3\n0\n1\n5\n9 5\n7 4\n5 3\n3 2\n1 1\n$EndNodeData\n'
        '$ElementData\n1\n"k"\n1\n0.5\n3\n0\n1\n2\n2 20\n1 10\n$EndElementData\n'
    )


def _abaqus(folder: Path) -> None:
    (folder / "m.inp").write_text(
        "*HEADING\nfuzz\n*PART, NAME=P\n*NODE, NSET=ALL\n1, 0., 0., 0.\n2, 1., 0., 0.\n"
        "3, 0., 1., 0.\n4, 0., 0., 1.\n*NODE\n5, 1., 1., 1.\n"
        "*ELEMENT, TYPE=C3D4, ELSET=E\n1, 1, 2, 3, 4\n** comment\n2, 2, 3,\n4, 5\n"
        "*NSET, NSET=BASE, GENERATE\n1, 3, 1\n*END PART\n*ASSEMBLY, NAME=A\n"
        "*INSTANCE, NAME=I1, PART=P\n*END INSTANCE\n*INSTANCE, NAME=I2, PART=P\n5., 0., 0.\n"
        "5., 0., 0., 5., 0., 1., 90.\n*END INSTANCE\n*END ASSEMBLY\n*STEP\n*STATIC\n*END STEP\n"
    )


def _nastran(folder: Path) -> None:
    (folder / "m.bdf").write_text(
        "SOL 101\nCEND\nBEGIN BULK\n"
        "CORD2C  1       0       0.      0.      0.      0.      0.      1.\n"
        "        1.      0.      0.\n"
        "GRID    1               0.      0.      0.\n"
        "GRID    2       1       1.      0.      0.\n"
        "GRID,3,,0.,1.,0.\n"
        "GRID*   4                               0.              0.\n*       1.0\n"
        "CTETRA  1       1       1       2       3       4\n"
        "CTRIA3  2       1       1       2       3       45.\n"
        "ENDDATA\n"
    )


def _su2(folder: Path) -> None:
    (folder / "m.su2").write_text(
        "% fuzz\nNDIME= 2\nNELEM= 2\n5 0 1 2 0\n5 0 2 3 1\nNPOIN= 4\n0. 0. 0\n1. 0. 1\n1. 1. 2\n"
        "0. 1. 3\nNMARK= 1\nMARKER_TAG= wall\nMARKER_ELEMS= 1\n3 0 1\n"
    )


def _obj(folder: Path) -> None:
    (folder / "m.obj").write_text(
        "# fuzz\no box\nv 0 0 0\nv 1 0 0\nv 1 1 0\nv 0 1 0\nv 0 0 1\nvt 0 0\nvt 1 1\nvn 0 0 1\n"
        "usemtl steel\nf 1/1/1 2/2/1 3/1/1 4/2/1\nf 1//1 2//1 5//1\nf -1 -4 -3\n"
    )


def _ensight(binary: bool) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        """EnSight Gold with a geometry of tetrahedra and a scalar at two times."""
        mesh = solid()
        points, cells = mesh.pos.numpy(), mesh.tetra.numpy() + 1
        (folder / "m.case").write_text(
            "FORMAT\ntype: ensight gold\nGEOMETRY\nmodel: m.geo\nVARIABLE\n"
            "scalar per node: 1 u m.u**\nTIME\ntime set: 1\nnumber of steps: 2\n"
            "filename start number: 0\nfilename increment: 1\ntime values: 0.0 0.5\n"
        )
        names = ["fuzz", "fuzz", "node id off", "element id off", "part"]

        def text(lines: list[str]) -> bytes:
            if binary:
                return b"".join(line.encode().ljust(80, b"\0") for line in lines)
            return "".join(f"{line}\n" for line in lines).encode()

        def integers(values: np.ndarray) -> bytes:
            if binary:
                return values.astype("<i4").tobytes()
            rows = np.atleast_2d(values)
            return "".join("".join(f"{v:10d}" for v in row) + "\n" for row in rows).encode()

        def floats(values: np.ndarray) -> bytes:
            if binary:
                return values.astype("<f4").tobytes()
            return "".join(f"{v:12.5e}\n" for v in values.ravel()).encode()

        head = text(["C Binary"]) if binary else b""
        (folder / "m.geo").write_bytes(
            head
            + text(names)
            + integers(np.array(1))
            + text(["body", "coordinates"])
            + integers(np.array(len(points)))
            + floats(points.T)
            + text(["tetra4"])
            + integers(np.array(len(cells)))
            + integers(cells)
        )
        for step in range(2):
            (folder / f"m.u{step:02d}").write_bytes(
                text(["u", "part"])
                + integers(np.array(1))
                + text(["coordinates"])
                + floats(mesh.temperature.numpy() + step)
            )

    return write


def _exodus(folder: Path) -> None:
    """Two hexahedra and a nodal variable at two times, in NetCDF's classic format."""
    from scipy.io import netcdf_file

    points = np.array([[i, j, k] for i in range(3) for j in range(2) for k in range(2)], float)
    cells = np.array([[0, 4, 6, 2, 1, 5, 7, 3], [4, 8, 10, 6, 5, 9, 11, 7]], np.int32) + 1
    with netcdf_file(folder / "m.e", "w", version=2) as file:
        file.api_version = file.version = np.float32(5.1)
        file.floating_point_word_size, file.file_size = 8, 1
        file.title = "fuzz"
        for name, size in (
            *(
                ("time_step", None),
                ("len_string", 33),
                ("len_name", 33),
                ("four", 4),
                ("num_dim", 3),
            ),
            *(("num_nodes", 12), ("num_elem", 2), ("num_el_blk", 1), ("num_el_in_blk1", 2)),
            *(("num_nod_per_el1", 8), ("num_nod_var", 1)),
        ):
            file.createDimension(name, size)
        for axis, name in enumerate(("coordx", "coordy", "coordz")):
            file.createVariable(name, "d", ("num_nodes",))[:] = points[:, axis]
        file.createVariable("eb_prop1", "i", ("num_el_blk",))[:] = 1
        file.variables["eb_prop1"].name = "ID"
        file.createVariable("eb_status", "i", ("num_el_blk",))[:] = 1
        connect = file.createVariable("connect1", "i", ("num_el_in_blk1", "num_nod_per_el1"))
        connect[:] = cells
        connect.elem_type = "HEX8"
        names = file.createVariable("name_nod_var", "c", ("num_nod_var", "len_name"))
        names[:] = np.frombuffer(b"u".ljust(33, b"\0"), "S1")
        times = file.createVariable("time_whole", "d", ("time_step",))
        values = file.createVariable("vals_nod_var1", "d", ("time_step", "num_nodes"))
        for step in range(2):
            times[step] = 0.5 * step
            values[step] = points[:, 0] + step


def _fluent(folder: Path) -> None:
    (folder / "m.msh").write_text(
        '(0 "two tetrahedra")\n(2 3)\n(10 (0 1 5 0 3))\n(12 (0 1 2 0))\n(13 (0 1 7 0))\n'
        "(10 (1 1 5 1 3)(\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n1 1 1\n))\n(12 (2 1 2 1 2))\n"
        "(13 (3 1 1 2 3)(\n2 3 4 1 2\n))\n(13 (4 2 7 3 3)(\n1 3 2 1 0\n1 2 4 1 0\n1 4 3 1 0\n"
        "2 3 5 2 0\n3 4 5 2 0\n4 2 5 2 0\n))\n"
    )


def _cgns(folder: Path) -> None:
    test_cgns.write(folder / "m.cgns", (0.0, 0.5), zones=2)


def _unv(folder: Path) -> None:
    (folder / "m.unv").write_text(test_unv.nodes() + test_unv.ELEMENTS + test_unv.GROUPS)


def _stl(binary: bool) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        corners = surface().points[surface().cells[0].data].astype("<f4")
        if binary:
            rows = b"".join(
                np.zeros(3, "<f4").tobytes() + one.tobytes() + struct.pack("<H", 0)
                for one in corners
            )
            (folder / "m.stl").write_bytes(bytes(80) + struct.pack("<I", len(corners)) + rows)
            return
        facets = "".join(
            "facet normal 0 0 0\nouter loop\n"
            + "".join(f"vertex {x:.6e} {y:.6e} {z:.6e}\n" for x, y, z in one)
            + "endloop\nendfacet\n"
            for one in corners
        )
        (folder / "m.stl").write_text(f"solid fuzz\n{facets}endsolid fuzz\n")

    return write


MESHES: dict[str, tuple[str, Callable[[Path], None]]] = {
    "vtu": ("m.vtu", _own("m.vtu")),
    "vtu ascii": ("m.vtu", _by_meshio("m.vtu", binary=False)),
    "vtp": ("m.vtp", _by_vtk("m.vtp", kind="polydata")),
    "vti": ("m.vti", _by_vtk("m.vti")),
    "vtr": ("m.vtr", _by_vtk("m.vtr", kind="rectilinear")),
    "vts": ("m.vts", _by_vtk("m.vts", binary=False, kind="structured")),
    "vtm": ("m.vtm", _by_vtk("m.vtm", kind="blocks")),
    "pvtu": ("m.pvtu", _pvtu),
    "pvd": ("m.pvd", _collection),
    "vtk": ("m.vtk", _by_vtk("m.vtk", kind="solid")),
    "vtk ascii": ("m.vtk", _by_vtk("m.vtk", binary=False, kind="solid")),
    "vtk polydata": ("m.vtk", _by_vtk("m.vtk", binary=False, kind="polydata")),
    "vtk grid": ("m.vtk", _by_vtk("m.vtk", kind="rectilinear")),
    "ensight": ("m.case", _ensight(False)),
    "ensight binary": ("m.case", _ensight(True)),
    "exodus": ("m.e", _exodus),
    "xdmf": ("m.xdmf", _own("m.xdmf")),
    "xdmf hdf5": ("m.xdmf", _xdmf_with_hdf5),
    "gmsh 2.2": ("m.msh", _own("m.msh")),
    "gmsh 2.2 binary": ("m.msh", _by_meshio("m.msh", file_format="gmsh22", binary=True)),
    "gmsh 4.1": ("m.msh", _gmsh41),
    "gmsh 4.1 binary": ("m.msh", _by_meshio("m.msh", file_format="gmsh", binary=True)),
    "fluent": ("m.msh", _fluent),
    "abaqus": ("m.inp", _abaqus),
    "abaqus flat": ("m.inp", _own("m.inp")),
    "nastran": ("m.bdf", _nastran),
    "med": ("m.med", _by_meshio("m.med")),
    "cgns": ("m.cgns", _cgns),
    "unv": ("m.unv", _unv),
    "su2": ("m.su2", _su2),
    "ply": ("m.ply", _by_meshio("m.ply", binary=True)),
    "ply ascii": ("m.ply", _by_meshio("m.ply", binary=False)),
    "stl": ("m.stl", _stl(True)),
    "stl ascii": ("m.stl", _stl(False)),
    "obj": ("m.obj", _obj),
}
"""Entry file and writer of each seed, by the name of the target."""
