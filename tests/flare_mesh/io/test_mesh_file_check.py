import time

import h5py
import numpy as np
import pytest

from flare_mesh.io import read_mesh
from flare_mesh.io.external_references import referenced_files
from flare_mesh.io.mesh_file_check import check_mesh_file

XDMF = """<Xdmf Version="3.0"><Domain><Grid Name="g"><Geometry GeometryType="XYZ">
<DataItem Dimensions="3 3" Format="{kind}" DataType="Float" Precision="8">{text}</DataItem>
</Geometry></Grid></Domain></Xdmf>"""


def refused(path, text, message, **options):
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=message) as error:
        check_mesh_file(path, **options)
    assert str(path) in str(error.value)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("m.pvtu", '<VTKFile><Piece Source="&#46;&#46;/x.vtu"/></VTKFile>'),
        ("m.pvtu", "<VTKFile><Piece Source='/etc/x y.vtu'/></VTKFile>"),
        ("m.vtm", '<VTKFile><DataSet file="../x and.vtu"/></VTKFile>'),
        ("m.pvd", '<VTKFile><DataSet FILE = "a/../../x.vtu"/></VTKFile>'),
        ("m.xdmf", XDMF.format(kind="HDF", text="../s.hdf:/a")),
        ("m.xdmf", XDMF.format(kind="HDF", text="<!-- a.h5 -->..&#47;s:/a")),
        ("m.xmf", '<Xdmf xmlns:x="w"><x:include href="../a.xml"/></Xdmf>'),
        ("m.case", "GEOMETRY\nmodel: 1 ../a.geo change_coords_only\n"),
        ("m.case", "VARIABLE\nscalar per node: 1 p /etc/a\n"),
        ("m.encas", 'GEOMETRY\nmodel: "../a b.geo"\n'),
    ],
)
def test_names_that_leave_the_folder(tmp_path, name, text):
    refused(tmp_path / name, text, "which is outside")


def test_names_that_no_file_has(tmp_path):
    text = f"<VTKFile><DataSet file='{'a' * 300}'/></VTKFile>"
    refused(tmp_path / "m.pvd", text, "refers to '.*', which is too long for a name")


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("name", ["m.pvtu", "m.vtm", "m.pvd", "m.xdmf", "m.vtu", "m.vti"])
def test_entities_anywhere(tmp_path, name, encoding):
    text = f"<!--{' ' * (1 << 20)}--><!DOCTYPE a [<!ENTITY e '../x'>]><a/>"
    if encoding == "utf-16" and name in ("m.vtu", "m.vti"):
        pytest.skip("VTK's XML of one mesh is not read in UTF-16")
    refused(tmp_path / name, text.encode(encoding), "defines XML entities")


def test_names_are_those_of_the_elements(tmp_path):
    path = tmp_path / "m.pvtu"
    path.write_text(
        '<VTKFile><!-- Source="../no" --><Piece Source="a b.vtu"/><Piece Source="c&amp;d.vtu"/>'
        "</VTKFile>"
    )
    assert referenced_files(path) == ["a b.vtu", "c&d.vtu"]
    path = tmp_path / "m.case"
    path.write_text(
        "FORMAT\ntype: ensight gold\nGEOMETRY\nmodel: 1 a.geo\n\nVARIABLE\n"
        "constant per case: 1 rho 2.0\nscalar per node: 1 p a.p**\n# vector per node: u /x\n"
    )
    assert referenced_files(path) == ["a.geo", "a.p**"]
    refused(tmp_path / "m.pvtu", "<VTKFile><Piece", "not whole XML")


def test_files_that_named_files_name(tmp_path):
    (tmp_path / "b.vtm").write_text('<VTKFile><DataSet file="../x.vtu"/></VTKFile>')
    path = tmp_path / "a.vtm"
    path.write_text('<VTKFile><DataSet file="a.vtm"/><DataSet file="b.vtm"/></VTKFile>')
    with pytest.raises(ValueError, match=r"b\.vtm: refers to '\.\./x\.vtu', which is outside"):
        check_mesh_file(path)


def test_binary_values(tmp_path):
    refused(tmp_path / "m.xdmf", XDMF.format(kind="Binary", text="a.bin"), 'Format="Binary"')
    refused(tmp_path / "m.xdmf", XDMF.format(kind="HDF", text="a.h5"), "expected 'file.h5:/name'")


def test_values_in_hdf5(tmp_path):
    path = tmp_path / "m.xdmf"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["a"] = np.eye(3)
    with h5py.File(tmp_path / "s.hdf", "w") as file:
        file["a"] = np.eye(3)
        file["far"] = h5py.ExternalLink("other.h5", "/a")
        file["soft"] = h5py.SoftLink("/far")
        file.create_dataset("large", shape=(1 << 40,), chunks=(1 << 10,), dtype="f8")
    path.write_text(XDMF.format(kind="HDF", text="s.hdf:/a").replace("3 3", "1"))
    check_mesh_file(path, max_bytes=72)
    for place, message, limit in (
        ("far", "links to another file", 10**9),
        ("soft", "soft link", 10**9),
        ("large", "more than the limit", 10**12),
        ("a", "more than the limit", 71),
    ):
        path.write_text(XDMF.format(kind="HDF", text=f"s.hdf:/{place}").replace("3 3", "1"))
        with pytest.raises(ValueError, match=message):
            check_mesh_file(path, max_bytes=limit)


def test_hdf5_that_shrank_to_nothing(tmp_path, monkeypatch):
    """Of more than 1 GiB, here of more than 1 MiB."""
    monkeypatch.setattr("flare_mesh.io.arrays._ANY_RATIO", 1 << 20)
    with h5py.File(tmp_path / "m.med", "w") as file:
        for name in "ab":
            file.create_dataset(name, data=np.zeros(1 << 17), compression="gzip")
    with pytest.raises(ValueError, match=r"m\.med, '/b': declares 2,097,152 bytes, more than 50"):
        check_mesh_file(tmp_path / "m.med")
    path = tmp_path / "m.xdmf"
    path.write_text(XDMF.format(kind="HDF", text="m.med:/a"))
    check_mesh_file(path)
    with h5py.File(tmp_path / "m.med", "a") as file:
        file.create_dataset("c", data=np.zeros(1 << 18), compression="gzip")
    path.write_text(XDMF.format(kind="HDF", text="m.med:/c"))
    with pytest.raises(ValueError, match=r"'m\.med:/c': declares 2,097,152 bytes, more than 50"):
        check_mesh_file(path)


def test_hdf5_as_a_mesh(tmp_path):
    path = tmp_path / "m.med"
    with h5py.File(path, "w") as file:
        file["g/a"] = np.eye(3)
        file["g/b"] = np.eye(3)
        file["g/again"] = file["g"]
    check_mesh_file(path, max_bytes=144)
    with pytest.raises(ValueError, match=r"m\.med, '/g/.*declares 144 bytes"):
        check_mesh_file(path, max_bytes=143)
    for kind in (h5py.ExternalLink("o.h5", "/"), h5py.SoftLink("/g")):
        with h5py.File(path, "a") as file:
            if file.get("link", getlink=True):
                del file["link"]
            file["link"] = kind
        with pytest.raises(ValueError, match=r"m\.med, '/link': is a link"):
            check_mesh_file(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("x", (2,), "f8", external=[(str(tmp_path / "raw"), 0, 16)])
    with pytest.raises(ValueError, match="are stored in another file"):
        read_mesh(path)


def test_counts_and_time(tmp_path):
    refused(tmp_path / "m.vtk", f"POINTS {'9' * 5000} float", "declares 9{60} entries, more than")
    begin = time.perf_counter()
    (tmp_path / "m.case").write_text("\n" * 10**6 + "model: a.geo\n")
    assert referenced_files(tmp_path / "m.case") == ["a.geo"]
    assert time.perf_counter() - begin < 10
