import base64
import itertools
import re
import zlib

import numpy as np
import pytest

from flare_mesh.io.vtk_xml import VTKXMLFile
from flare_mesh.mesh.vtk_arrays import vtk_arrays

pyvista = pytest.importorskip("pyvista")


@pytest.fixture(scope="module")
def mesh():
    mesh = pyvista.Sphere(theta_resolution=8, phi_resolution=8)
    mesh.clear_data()
    rng = np.random.default_rng(0)
    mesh["scalar"] = rng.random(mesh.n_points)
    mesh.cell_data["vector"] = rng.random((mesh.n_cells, 3)).astype(np.float32)
    mesh.cell_data["number"] = np.arange(mesh.n_cells)
    return mesh


def check(path, mesh):
    file = VTKXMLFile(path)
    assert (file.num_points, file.num_cells) == (mesh.n_points, mesh.n_cells)
    np.testing.assert_array_equal(file.points(), mesh.points)
    np.testing.assert_array_equal(file.read("PointData", "scalar"), mesh["scalar"])
    np.testing.assert_array_equal(file.read("CellData", "vector", 3), mesh.cell_data["vector"])
    np.testing.assert_array_equal(file.read("CellData", "number"), mesh.cell_data["number"])
    nodes, ends = file.cells("Polys" if file.kind == "PolyData" else "Cells")
    np.testing.assert_array_equal(nodes.reshape(-1, 3), mesh.regular_faces)
    np.testing.assert_array_equal(ends, 3 * np.arange(1, mesh.n_cells + 1))


@pytest.mark.parametrize("kind", ["vtp", "vtu"])
@pytest.mark.parametrize("mode", ["Ascii", "Binary", "Appended"])
def test_all_encodings_of_vtk(mesh, tmp_path, kind, mode):
    import vtk

    path = tmp_path / f"a.{kind}"
    for zipped, encoded, header, order in itertools.product(
        ("None", "ZLib"), (False, True), (32, 64), ("Big", "Little")
    ):
        if kind == "vtp":
            writer, data = vtk.vtkXMLPolyDataWriter(), mesh
        else:
            writer, data = vtk.vtkXMLUnstructuredGridWriter(), mesh.cast_to_unstructured_grid()
        writer.SetInputData(data)
        writer.SetFileName(str(path))
        writer.SetBlockSize(480)  # several blocks, the last a part of one
        writer.SetEncodeAppendedData(encoded)
        getattr(writer, f"SetDataModeTo{mode}")()
        getattr(writer, f"SetCompressorTypeTo{zipped}")()
        getattr(writer, f"SetHeaderTypeToUInt{header}")()
        getattr(writer, f"SetByteOrderTo{order}Endian")()
        writer.Write()
        check(path, mesh)


def test_header_encoded_by_itself(mesh, tmp_path):
    """Some programs other than VTK write uncompressed arrays so."""

    def array(values, name):
        size = np.uint64(values.nbytes).tobytes()
        text = (base64.b64encode(size) + base64.b64encode(values.tobytes())).decode()
        kind = {"f4": "Float32", "f8": "Float64", "i4": "Int32", "i8": "Int64"}[
            values.dtype.str[1:]
        ]
        channels = values.shape[1] if values.ndim == 2 else 1
        return (
            f'<DataArray type="{kind}" Name="{name}" NumberOfComponents="{channels}" '
            f'format="binary">\n{text}\n</DataArray>'
        )

    faces = mesh.regular_faces.astype(np.int32)
    fields = "".join(array(mesh.cell_data[name], name) for name in ("vector", "number"))
    path = tmp_path / "a.vtp"
    path.write_text(
        f"""<?xml version="1.0"?>
<VTKFile type="PolyData" version="0.1" byte_order="LittleEndian" header_type="UInt64">
<PolyData><FieldData>{array(np.ones(1), "TimeValue")}</FieldData>
<Piece NumberOfPoints="{mesh.n_points}" NumberOfPolys="{mesh.n_cells}">
<Points>{array(mesh.points, "Points")}</Points>
<Polys>{array(faces.ravel(), "connectivity")}
{array(3 * np.arange(1, len(faces) + 1, dtype=np.int32), "offsets")}</Polys>
<CellData>{fields}</CellData><PointData>{array(mesh["scalar"], "scalar")}</PointData>
</Piece></PolyData></VTKFile>"""
    )
    check(path, mesh)
    assert VTKXMLFile(path).names("CellData") == ["vector", "number"]


@pytest.fixture
def plain(mesh, tmp_path):
    """A file whose text can be changed, and its path."""
    import vtk

    path = tmp_path / "a.vtu"
    writer = vtk.vtkXMLUnstructuredGridWriter()
    writer.SetInputData(mesh.cast_to_unstructured_grid())
    writer.SetFileName(str(path))
    writer.SetDataModeToAppended()
    writer.SetCompressorTypeToNone()
    writer.Write()
    return path


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (rb'NumberOfPoints="\d+"', b'NumberOfPoints="99999999999"', "more than the limit"),
        (rb'NumberOfPoints="\d+"', b'NumberOfPoints="-5"', "a negative number of points"),
        (rb'NumberOfPoints="\d+"', b'NumberOfPoints="many"', "not a whole VTK XML file"),
        (rb'NumberOfPoints="\d+"', b'NumberOfPoints="10"', "expected at most 120"),
        (rb'NumberOfPoints="\d+"', b'NumberOfPoints="70"', r"expected 210 values \(got 150\)"),
        (rb'offset="\d+"', b'offset="999999"', "its data ends too early"),
        (rb'offset="\d+"', b'offset="-9"', "a negative offset"),
        (rb'format="appended"', b'format="magic"', "unknown format 'magic'"),
        (rb'type="Float32"', b'type="Float99"', "unknown type 'Float99'"),
        (rb'NumberOfComponents="3"', b'NumberOfComponents="2"', r"expected 3 components \(got 2\)"),
        (rb'type="UnstructuredGrid"', b'type="ImageData"', "expected one of .* 'ImageData'"),
        (rb"<VTKFile[^>]*>", b"<HTML>", "does not begin with <VTKFile>"),
        (rb"<PointData[^>]*>", b'<PointData Scalars="a<b">', '"a<b">\' is not a tag of XML'),
        (rb'(<DataArray[^>]*Name=)"offsets"', rb'\1"x"y"', "is not a tag of XML"),
        (rb"<Piece[^>]*>", b"", "it has no <Piece>"),
        (rb"(<Piece[^>]*>)", rb"\1\1", "more than one piece"),
        (rb'header_type="UInt32"', b'header_type="UInt"', "unknown type 'UInt'"),
        (rb'header_type="UInt32"', b'compressor="vtkLZ4DataCompressor"', "vtkLZ4DataCompressor"),
    ],
)
def test_damaged_or_hostile(plain, old, new, message):
    content = re.sub(old, new, plain.read_bytes(), count=0 if b"offset" not in old else 99)
    plain.write_bytes(content)
    with pytest.raises(ValueError, match=message) as error:
        VTKXMLFile(plain).points()
    assert str(plain) in str(error.value)


@pytest.mark.parametrize("cut", [0, 10, 300, -20, -700])
def test_truncated(plain, cut):
    plain.write_bytes(plain.read_bytes()[:cut])
    with pytest.raises(ValueError, match="a.vtu: not a whole VTK XML file"):
        VTKXMLFile(plain)


def compressed(size, blocks):
    packed = [zlib.compress(block) for block in blocks]
    head = np.array([len(blocks), *size, *map(len, packed)], np.uint32).tobytes()
    text = base64.b64encode(head) + base64.b64encode(b"".join(packed))
    return f"""<VTKFile type="PolyData" compressor="vtkZLibDataCompressor"><PolyData>
<Piece NumberOfPoints="4" NumberOfPolys="0"><PointData>
<DataArray type="Int8" Name="a" format="binary">{text.decode()}</DataArray>
</PointData></Piece></PolyData></VTKFile>"""


def test_compressed_sizes(tmp_path):
    path = tmp_path / "a.vtp"
    path.write_text(compressed((3, 1), [b"\1\2\3", b"\4"]))
    assert VTKXMLFile(path).read("PointData", "a").tolist() == [1, 2, 3, 4]
    for text, message in (
        (compressed((4, 0), [b"\1\2\3"]), "expected 4 bytes in block 0"),
        (compressed((4, 0), [bytes(100_000_000)]), "expected 4 bytes in block 0"),
        (compressed((2**32 - 1, 0), [b"\1"]), "declares 4,294,967,295 bytes, expected at most 4"),
        (compressed((3, 0), [b"\1\2\3"]), r"expected 4 values \(got 3\)"),
    ):
        path.write_text(text)
        with pytest.raises(ValueError, match=message):
            VTKXMLFile(path).read("PointData", "a")


def test_cells_that_do_not_exist(mesh, tmp_path):
    path = tmp_path / "a.vtp"
    for faces, message in (
        ([3, 0, 1, mesh.n_points], r"expected node numbers from 0 to 49 in 'Polys'"),
        ([3, 0, 1, -1], r"expected node numbers from 0 to 49 in 'Polys'"),
    ):
        bad = pyvista.PolyData()
        bad.points = mesh.points
        bad.faces = faces
        bad.save(path)
        with pytest.raises(ValueError, match=message):
            VTKXMLFile(path).cells("Polys")


def test_missing(mesh, plain):
    with pytest.raises(FileNotFoundError, match="no such file"):
        VTKXMLFile(plain.with_name("b.vtu"))
    with pytest.raises(ValueError, match=r"no array 'p' in PointData; it has \['scalar'\]"):
        VTKXMLFile(plain).read("PointData", "p")


ASCII = """<?xml version='1.0'?>
<!-- a comment with <Piece NumberOfPoints="9"> in it -->
<VTKFile type='UnstructuredGrid' byte_order='LittleEndian'><UnstructuredGrid>
<Piece NumberOfPoints='5' NumberOfCells='2'>
<PointData>
<DataArray type='Float64' Name='a &lt; b' format='ascii'>0 1 2 3 4</DataArray>
<DataArray type='Float64' Name='c > "d"' format='ascii'>5 6 7 8 9</DataArray>
</PointData>
<CellData><DataArray type='UInt8' Name='vtkGhostType' format='ascii'>1 0</DataArray>
<DataArray type='Int32' Name='part' format='ascii'>7 8</DataArray></CellData>
<Points><DataArray type='Float64' NumberOfComponents='3' format='ascii'>
0 0 0 1 0 0 0 1 0 1 1 0 2 2 0</DataArray></Points>
<Cells><DataArray type='Int64' Name='connectivity' format='ascii'>0 1 2 1 3 2</DataArray>
<DataArray type='Int64' Name='offsets' format='ascii'>3 6</DataArray>
<DataArray type='UInt8' Name='types' format='ascii'>5 5</DataArray></Cells>
</Piece></UnstructuredGrid></VTKFile>
<!-- the end -->

"""


def test_xml_of_other_programs_and_ghost_cells(tmp_path):
    path = tmp_path / "a.vtu"
    path.write_text(ASCII)
    assert VTKXMLFile(path).names("PointData") == ["a < b", 'c > "d"']
    ours = VTKXMLFile(path).mesh_arrays()
    path.write_text(ASCII.replace('c > "d"', "c"))  # VTK itself stops at any ">"
    theirs = vtk_arrays(pyvista.read(path))
    for arrays in (ours, theirs):
        assert arrays["node:a < b"].tolist() == [1, 2, 3, 4]  # only the ghost cell had node 0
        assert arrays["cell:part"].tolist() == [8]
        assert (arrays["index"].tolist(), arrays["offset"].tolist()) == ([0, 2, 1], [0, 3])
        assert arrays["points"][-1].tolist() == [2, 2, 0]
        assert not any("vtkGhostType" in name for name in arrays)
    path.write_text(ASCII.replace(">7 8<", ">7 99999999999<"))
    with pytest.raises(ValueError, match=r"a\.vtu, CellData 'part': damaged \(.* out of bounds"):
        VTKXMLFile(path).mesh_arrays()
    path.write_text(ASCII.replace("<!-- the end -->", "and more"))
    with pytest.raises(ValueError, match="does not end with </VTKFile>"):
        VTKXMLFile(path)


@pytest.mark.parametrize(
    "text",
    ["<" + "a" * 10**6, "<a " + "a" * 10**6 + ">", "<a" * 10**6, "<a '" * 10**5, "<!--" * 10**5],
)
def test_linear_time_on_hostile_tags(tmp_path, text):
    path = tmp_path / "a.vtu"
    path.write_text(text + "</VTKFile>")
    with pytest.raises(ValueError, match="not a whole VTK XML file"):
        VTKXMLFile(path)


def test_a_file_that_shrank_to_nothing(tmp_path, monkeypatch):
    """Of more than 1 GiB, here of more than 1 MiB; the arrays count together."""
    monkeypatch.setattr("flare_mesh.io.arrays._ANY_RATIO", 1 << 20)
    cells = {pyvista.CellType.VERTEX: np.array([[0]])}
    grid = pyvista.UnstructuredGrid(cells, np.zeros((40_000, 3), np.float32))
    grid["a"] = grid["b"] = np.zeros(40_000)
    grid.save(tmp_path / "a.vtu")
    file = VTKXMLFile(tmp_path / "a.vtu")
    for _ in range(5):
        assert not file.points().any()
        assert not file.read("PointData", "a").any()
    with pytest.raises(ValueError, match=r"a\.vtu: declares 1,120,000 bytes, more than 50 times"):
        file.read("PointData", "b")
