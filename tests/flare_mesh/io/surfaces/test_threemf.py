import io
import struct
import zipfile

import numpy as np
import pytest

from flare_mesh.io.surfaces.threemf import read_3mf

RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
SPACES = " ".join(
    f'xmlns{prefix}="http://schemas.microsoft.com/3dmanufacturing/{name}"'
    for prefix, name in {
        "": "core/2015/02",
        ":p": "production/2015/06",
        ":m": "material/2015/02",
        ":b": "beamlattice/2017/02",
        ":s": "slice/2015/07",
    }.items()
)
ROOT = "3D/3dmodel.model"


def shift(x, y=0, z=0):
    return f'transform="1 0 0 0 1 0 0 0 1 {x} {y} {z}"'


def model(resources, build, unit="millimeter", attributes=""):
    head = '<?xml version="1.0" encoding="UTF-8"?>'
    return (
        f'{head}<model unit="{unit}" {SPACES} {attributes}><resources>{resources}</resources>'
        f"<build>{build}</build></model>"
    )


@pytest.fixture
def block_xml(block):
    """An object with the triangles of the block, in an edge length of it."""
    points, quads = block

    def write(number, attributes="", scale=1.0, extra=""):
        vertices = "".join(f'<vertex x="{x}" y="{y}" z="{z}"/>' for x, y, z in points * scale)
        faces = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]])
        triangles = "".join(f'<triangle v1="{a}" v2="{b}" v3="{c}"/>' for a, b, c in faces)
        return (
            f'<object id="{number}" {attributes}><mesh><vertices>{vertices}</vertices>'
            f"<triangles>{triangles}</triangles>{extra}</mesh></object>"
        )

    return write


@pytest.fixture
def package(tmp_path):
    """Write a 3MF file."""

    def write(main, parts=None, root=f"/{ROOT}"):
        path = tmp_path / "a.3mf"
        rels = (
            f'<Relationships xmlns="{RELATIONSHIPS}"><Relationship Target="{root}" Id="a" '
            f'Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>'
        )
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("_rels/.rels", rels)
            archive.writestr(ROOT, main)
            for name, content in (parts or {}).items():
                archive.writestr(name, content)
        return path

    return write


@pytest.mark.parametrize(
    ("unit", "size"),
    [("micron", 1e-3), ("millimeter", 1), ("centimeter", 10), ("meter", 1e3), ("inch", 25.4)],
)
def test_units(package, block_xml, volume, unit, size):
    surface = read_3mf(package(model(block_xml(1), '<item objectid="1"/>', unit)))
    assert volume(surface) == pytest.approx(480 * size**3)
    assert surface.notes == ()


def test_items_components_and_transforms(package, block_xml, volume):
    """A quarter turn about z maps x to y: (x, y, z) -> (-y, x, z)."""
    turned = '<component objectid="1" transform="0 1 0 -1 0 0 0 0 1 40 0 0"/>'
    pair = f'<object id="3"><components><component objectid="1"/>{turned}</components></object>'
    unused = block_xml(2, scale=9)
    path = package(model(block_xml(1) + unused + pair, f'<item objectid="3" {shift(1, 2, 3)}/>'))
    surface = read_3mf(path)
    assert volume(surface) == pytest.approx(960)
    np.testing.assert_allclose(surface.points.min(0), [1, 2, 3])
    np.testing.assert_allclose(surface.points.max(0), [41, 12, 9])


def test_mirrored_items_keep_their_outside(package, block_xml, volume):
    item = '<item objectid="1" transform="-1 0 0 0 1 0 0 0 1 0 0 0"/>'
    surface = read_3mf(package(model(block_xml(1), item)))
    assert volume(surface) == pytest.approx(480)
    assert surface.points.min() == -10


def test_objects_are_known_by_number_and_part(package, block_xml, volume):
    part = "/3D/Objects/%s.model"
    component = '<component objectid="1" p:path="%s" %s/>'
    wrap = "".join(
        f'<object id="{n}"><components>{component % (part % name, shift(x))}</components></object>'
        for n, name, x in ((10, "a", 0), (11, "B", 40))
    )
    main = model(
        wrap, '<item objectid="10"/><item objectid="11"/>', attributes='requiredextensions="p m"'
    )
    parts = {
        "3D/Objects/a.model": model(block_xml(1) + block_xml(2, scale=5), ""),
        "3D/Objects/b.model": model(block_xml(1, scale=2), ""),
    }
    surface = read_3mf(package(main, parts))
    assert volume(surface) == pytest.approx(480 * 9)
    assert surface.points.max() == 60
    item = '<item objectid="1" p:path="/3D/Objects/a.model"/>'
    assert volume(read_3mf(package(model("", item), parts))) == pytest.approx(480)


@pytest.mark.parametrize(
    ("attributes", "item", "note"),
    [
        ("", 'printable="0"', "leaves out object 2, which is not to be printed"),
        (
            'type="support" name="s"',
            "",
            "leaves out object 2 ('s'), which is of the type 'support'",
        ),
        ('type="other"', "", "leaves out object 2, which is of the type 'other'"),
        ('type="surface"', "", "leaves out object 2, which is of the type 'surface'"),
    ],
)
def test_what_is_left_out_is_told(package, block_xml, volume, attributes, item, note):
    items = f'<item objectid="1"/><item objectid="2" {item}/>'
    surface = read_3mf(package(model(block_xml(1) + block_xml(2, attributes), items)))
    assert volume(surface) == pytest.approx(480)
    assert surface.notes == (note,)
    with pytest.raises(ValueError, match="its build has no triangles .leaves out object 2"):
        read_3mf(package(model(block_xml(2, attributes), f'<item objectid="2" {item}/>')))


def prusa(kind):
    volumes = "".join(
        f'<volume firstid="{first}" lastid="{first + 11}">'
        f'<metadata type="volume" key="volume_type" value="{name}"/></volume>'
        for first, name in ((0, "ModelPart"), (12, kind))
    )
    return {
        "Metadata/Slic3r_PE_model.config": f'<config><object id="1">{volumes}</object></config>'
    }


def bambu(kind):
    parts = f'<part id="1" subtype="normal_part"/><part id="2" subtype="{kind}"/>'
    return {"Metadata/model_settings.config": f'<config><object id="3">{parts}</object></config>'}


def test_modifiers_of_slicers(package, block, block_xml, volume):
    points, quads = block
    one = block_xml(1)
    vertices = "".join(f'<vertex x="{x + 5}" y="{y}" z="{z}"/>' for x, y, z in points)
    faces = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]]) + 8
    more = "".join(f'<triangle v1="{a}" v2="{b}" v3="{c}"/>' for a, b, c in faces)
    both = one.replace("</vertices>", vertices + "</vertices>").replace(
        "</triangles>", more + "</triangles>"
    )
    prusa_file = model(both, '<item objectid="1"/>')
    pair = "".join(f'<component objectid="{n}"/>' for n in (1, 2))
    resources = one + block_xml(2) + f'<object id="3"><components>{pair}</components></object>'
    bambu_file = model(resources, '<item objectid="3"/>')
    for main, parts, name in (
        (prusa_file, prusa("ParameterModifier"), "object 1 of the kind 'ParameterModifier'"),
        (bambu_file, bambu("support_blocker"), "object 3 of the kind 'support_blocker'"),
    ):
        surface = read_3mf(package(main, parts))
        assert volume(surface) == pytest.approx(480)
        assert surface.notes == (f"leaves out a volume of {name}",)
    for main, parts in (
        (prusa_file, prusa("NegativeVolume")),
        (bambu_file, bambu("negative_part")),
    ):
        with pytest.raises(ValueError, match=r"object [13] has a negative volume .* subtract it"):
            read_3mf(package(main, parts))
    with pytest.raises(ValueError, match="object 1 has a volume of the unknown kind 'New'"):
        read_3mf(package(prusa_file, prusa("New")))
    with pytest.raises(ValueError, match="object 1 has a volume of triangles that it has not"):
        read_3mf(package(model(one, '<item objectid="1"/>'), prusa("SupportBlocker")))


BEAMS = '<b:beamlattice radius="1" minlength="1"><b:beams/></b:beamlattice>'
LOOP = '<object id="2"><components><component objectid="2"/></components></object>'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("<resources>", '<resources requires=""'), r"'3D/3dmodel.model' is not whole XML"),
        (("<model ", '<model requiredextensions="b" '), r"extension 'b' \(a beam lattice\), which"),
        (("<model ", '<model requiredextensions="q" '), r"extension 'q' \(undeclared\), which is"),
        (
            ("<model ", '<model xmlns:z="urn:z" requiredextensions="z" '),
            r"requires the extension 'z' \(urn:z\), which is not read; export it without",
        ),
        (("</mesh>", f"{BEAMS}</mesh>"), "object 1 has a beam lattice, which is not read"),
        (("<mesh>", '<mesh t="">'), None),
        (('encoding="UTF-8"', 'encoding="X-8"'), "is not whole XML .unknown encoding: X-8."),
        (('id="1" ', 'id="1" s:meshresolution="lowres"'), "object 1 has slices in place of"),
        (('unit="millimeter"', 'unit="mile"'), r"expected a unit of micron, .* \(got 'mile'\)"),
        (('x="10.0"', 'x="10,0"'), r"line 1: expected the numbers x, y and z .*x=10,0"),
        (('v1="0"', 'v1="-1"'), "object 1: face 0 refers to vertex -1, but there are 8"),
        (('v1="0"', 'v1="0.5"'), "expected the v1, v2, v3 of a triangle"),
        (('v1="0"', 'w1="0"'), "expected the v1, v2, v3 of a triangle"),
        (('v1="0"', 'v1="8"'), "object 1: face 0 refers to vertex 8, but there are 8 vertices"),
        (("<build>", "<build><item />"), "refers to the object '', which '/3d/3dmodel.model' has"),
        (("<build>", '<build><item objectid="7"/>'), "refers to the object '7', which"),
        (("</resources>", LOOP + "</resources>"), None),
        (("<build>", '<build><item objectid="1" transform="1 0"/>'), "a transform of 12 numbers"),
        (
            ("<build>", '<build><item objectid="1" transform="1 0 0 0 1 0 0 0 0 0 0 0"/>'),
            "a transform of 12 numbers that keeps a volume",
        ),
        (
            ("<build>", '<build><item objectid="1" p:path="/../../x.model"/>'),
            "has no part '/x.model', which it refers to",
        ),
        (("<model ", "<!DOCTYPE model [<!ENTITY a 'b'>]><model "), "defines XML entities"),
    ],
)
def test_refused(package, block_xml, change, message):
    content = model(block_xml(1), '<item objectid="1"/>')
    assert change[0] in content
    path = package(content.replace(*change, 1))
    if message is None:
        assert len(read_3mf(path).triangles) == 12
        return
    with pytest.raises(ValueError, match=message):
        read_3mf(path)


def test_components_of_themselves_and_explosions(package, block_xml):
    with pytest.raises(ValueError, match="object 2 is a component of itself, or nested too deeply"):
        read_3mf(package(model(LOOP, '<item objectid="2"/>')))
    ten = [
        f'<object id="{n + 1}"><components>{f"<component objectid={chr(34)}{n}{chr(34)}/>" * 10}'
        f"</components></object>"
        for n in range(1, 9)
    ]
    path = package(model(block_xml(1) + "".join(ten), '<item objectid="9"/>'))
    with pytest.raises(ValueError, match="components repeat 12 triangles to 1,200,000,000; export"):
        read_3mf(path)


def test_packages(package, tmp_path, block_xml):
    main = model(block_xml(1), '<item objectid="1"/>')
    with pytest.raises(ValueError, match="has no part '/3d/x.model'"):
        read_3mf(package(main, root="/3D/x.model"))
    with pytest.raises(ValueError, match="has two parts '/3d/3dmodel.model'"):
        read_3mf(package(main, {"3d/3DMODEL.model": "x"}))
    other = tmp_path / "b.3mf"
    with zipfile.ZipFile(other, "w") as archive:
        archive.writestr("word/document.xml", "<a/>")
    with pytest.raises(ValueError, match="expected a 3MF file"):
        read_3mf(other)
    other.write_bytes(b"not a zip")
    with pytest.raises(ValueError, match="not a whole zip archive"):
        read_3mf(other)


def test_a_bomb_is_refused_by_its_ratio(package, block_xml):
    main = model(block_xml(1), '<item objectid="1"/>')
    with pytest.raises(ValueError, match=r"'3D/3dmodel.model' declares 70,\d{3},\d{3} bytes in "):
        read_3mf(package(main + " " * 70_000_000))


def test_a_false_size_is_refused(package, block_xml):
    """The size in the archive's directory is a lie."""
    main = model(block_xml(1), '<item objectid="1"/>')
    path = package(main)
    content = path.read_bytes()
    size = struct.pack("<I", len(main))
    assert content.count(size) == 2
    path.write_bytes(content.replace(size, struct.pack("<I", 100)))
    with pytest.raises(ValueError, match=r"not a whole zip archive|is not whole XML"):
        read_3mf(path)


def test_cut_anywhere(package, block_xml, tmp_path):
    content = package(model(block_xml(1), '<item objectid="1"/>')).read_bytes()
    assert zipfile.is_zipfile(io.BytesIO(content))
    cut = tmp_path / "cut.3mf"
    for size in np.random.default_rng(0).integers(0, len(content), 25):
        cut.write_bytes(content[:size])
        with pytest.raises(ValueError, match="not a whole zip archive"):
            read_3mf(cut)
