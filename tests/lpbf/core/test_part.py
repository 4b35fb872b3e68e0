import os
import signal
import sys
import zipfile

import numpy as np
import pytest
import trimesh

from flare_mesh.io import reader_process
from lpbf import PartError, PartWarning, voxelize
from lpbf.core.part import (
    CAD_SUFFIXES,
    PART_SUFFIXES,
    MissingReaderError,
    describe_part,
    load_part,
    read_part,
)
from lpbf.core.units import UNITLESS, UNITS

SURFACES = [suffix for suffix in PART_SUFFIXES if suffix not in CAD_SUFFIXES]


@pytest.mark.parametrize("suffix", SURFACES)
def test_every_format(tmp_path, suffix):
    box = trimesh.creation.box((14.0, 5.0, 6.0))
    path = tmp_path / f"box{suffix}"
    scene = trimesh.Scene([box]) if suffix == ".3mf" else box
    scene.export(path)
    part = load_part(path)
    assert part.is_watertight
    np.testing.assert_allclose(part.extents, [14, 5, 6])


@pytest.mark.parametrize(
    ("unit", "millimetres"), [("millimeter", 1.0), ("inch", 25.4), ("meter", 1000.0)]
)
def test_3mf_files_are_scaled_to_millimetres(tmp_path, unit, millimetres):
    box, path = trimesh.creation.box((4.0, 5.0, 6.0)), tmp_path / "box.3mf"
    trimesh.Scene([box]).export(path)
    with zipfile.ZipFile(path) as archive:
        entries = {name: archive.read(name) for name in archive.namelist()}
    assert any(b'unit="millimeter"' in content for content in entries.values())
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            new = content.replace(b'unit="millimeter"', f'unit="{unit}"'.encode())
            archive.writestr(name, new)
    np.testing.assert_allclose(load_part(path).extents, np.array([4, 5, 6]) * millimetres)


def test_a_small_part_may_be_in_another_unit(tmp_path):
    box = trimesh.creation.box((5.0, 2.5, 1.4))
    message = (
        r"is only 5 x 2.5 x 1.4 mm, as its file has no unit .* if it is in inches, give --unit "
        r"inch \(127 x 63.5 x 35.56 mm\), or if it is in centimetres, give --unit cm \(50 x 25 x 14"
    )
    for suffix in UNITLESS:
        box.export(tmp_path / f"a{suffix}")
        with pytest.warns(PartWarning, match=message):
            load_part(tmp_path / f"a{suffix}")
    trimesh.Scene([box]).export(tmp_path / "a.3mf")
    load_part(tmp_path / "a.3mf")
    trimesh.creation.box((0.04, 0.03, 0.02)).export(tmp_path / "metres.stl")
    with pytest.warns(
        PartWarning, match=r"if it is in metres, give --unit m \(40 x 30 x 20 mm\); "
    ):
        load_part(tmp_path / "metres.stl")
    with pytest.warns(PartWarning, match=r"0.04 x 0.03 x 0.02 mm; if it is in metres or inches"):
        load_part(trimesh.creation.box((0.04, 0.03, 0.02)))
    load_part(trimesh.creation.box((1.0, 0.5, 0.5)))
    trimesh.creation.box((4e4, 3e4, 2e4)).export(tmp_path / "microns.stl")
    with pytest.raises(PartError, match=r"in micrometres, give --unit um \(40 x 30 x 20 mm\)"):
        voxelize(tmp_path / "microns.stl", 1.0)


@pytest.mark.parametrize(("unit", "millimetres"), UNITS.items())
@pytest.mark.parametrize("suffix", [".stl", ".obj"])
def test_files_are_read_in_a_given_unit(tmp_path, suffix, unit, millimetres):
    box = trimesh.creation.box((5.0, 2.5, 1.5)).apply_translation((1.0, 2.0, 3.0))
    box.apply_scale(1 / millimetres).export(tmp_path / f"a{suffix}")
    part = load_part(tmp_path / f"a{suffix}", unit=unit)  # a given unit is not doubted
    np.testing.assert_allclose(part.bounds, [[-1.5, 0.75, 2.25], [3.5, 3.25, 3.75]], rtol=1e-5)
    assert describe_part(part) == f"{tmp_path / 'a'}{suffix}: 5 x 2.5 x 1.5 mm (file in {unit})"


def test_voxels_of_a_file_in_inches(tmp_path):
    trimesh.creation.box((1.0, 0.5, 0.25)).export(tmp_path / "a.stl")
    mesh = voxelize(tmp_path / "a.stl", 2.54 / 2, unit="inch")
    assert mesh.mask.shape == (20, 10, 5)
    assert mesh.mask.all()
    with pytest.raises(ValueError, match="a surface in memory, which is in mm"):
        voxelize(trimesh.creation.box((20, 20, 20)), 2.0, unit="inch")


def test_a_file_has_its_own_unit(tmp_path):
    trimesh.Scene([trimesh.creation.box((14.0, 15.0, 16.0))]).export(tmp_path / "a.3mf")
    assert describe_part(load_part(tmp_path / "a.3mf", unit="mm")).endswith("16 mm (file in mm)")
    with pytest.raises(PartError, match=r"a.3mf: has a unit of its own \(mm\), not 'inch'"):
        load_part(tmp_path / "a.3mf", unit="inch")
    with pytest.raises(ValueError, match="unknown unit 'yard'"):
        load_part(tmp_path / "a.3mf", unit="yard")


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.stl: no such file; give the path"):
        load_part(tmp_path / "none.stl")


def test_wrong_type(tmp_path):
    path = tmp_path / "part.docx"
    path.write_text("x")
    with pytest.raises(PartError, match=r"part.docx: expected a surface file of type .stl, "):
        load_part(path)


def step_box(size, unit, copies=(), unit_of_copies=None):
    """A STEP file (AP214) of a box with a corner at the origin.

    With copies, it is an assembly of the box at places: point, z axis and x axis.
    """
    entities = []

    def add(text):
        entities.append(text)
        return f"#{len(entities)}"

    def numbers(name, values):
        return add(f"{name}('',({','.join(f'{value:.6f}' for value in values)}))")

    def place(point, axis, along):
        parts = (numbers("DIRECTION", axis), numbers("DIRECTION", along))
        point = numbers("CARTESIAN_POINT", point)
        return add(f"AXIS2_PLACEMENT_3D('',{point},{parts[0]},{parts[1]})")

    corners = np.array([[x, y, z] for z in (0, 1) for y in (0, 1) for x in (0, 1)]) * size
    points = [numbers("CARTESIAN_POINT", corner) for corner in corners]
    vertices = [add(f"VERTEX_POINT('',{point})") for point in points]
    edges, faces = {}, []
    for digits in ("0231", "4576", "0154", "2673", "0462", "1375"):
        quad = [int(digit) for digit in digits]
        oriented = []
        for a, b in zip(quad, [*quad[1:], quad[0]], strict=True):
            if (b, a) not in edges:
                way = corners[b] - corners[a]
                way = numbers("DIRECTION", way / np.linalg.norm(way))
                way = add(f"VECTOR('',{way},1.)")
                line = add(f"LINE('',{points[a]},{way})")
                edges[a, b] = add(f"EDGE_CURVE('',{vertices[a]},{vertices[b]},{line},.T.)")
            edge, sense = (edges[b, a], "F") if (b, a) in edges else (edges[a, b], "T")
            oriented.append(add(f"ORIENTED_EDGE('',*,*,{edge},.{sense}.)"))
        first, second, third = corners[quad[:3]]
        along = (second - first) / np.linalg.norm(second - first)
        normal = np.cross(along, third - second) / np.linalg.norm(third - second)
        loop = add(f"EDGE_LOOP('',({','.join(oriented)}))")
        bound = add(f"FACE_OUTER_BOUND('',{loop},.T.)")
        plane = add(f"PLANE('',{place(first, normal, along)})")
        faces.append(add(f"ADVANCED_FACE('',({bound}),{plane},.T.)"))
    shell = add(f"CLOSED_SHELL('',({','.join(faces)}))")
    solid = add(f"MANIFOLD_SOLID_BREP('',{shell})")

    def units(unit):
        length = add(
            f"(LENGTH_UNIT()NAMED_UNIT(*)SI_UNIT({'.MILLI.' if unit == 'mm' else '$'},.METRE.))"
        )
        if unit == "inch":
            measure = add(f"LENGTH_MEASURE_WITH_UNIT(LENGTH_MEASURE(0.0254),{length})")
            exponents = add("DIMENSIONAL_EXPONENTS(1.,0.,0.,0.,0.,0.,0.)")
            length = add(
                f"(CONVERSION_BASED_UNIT('INCH',{measure})LENGTH_UNIT()NAMED_UNIT({exponents}))"
            )
        angle = add("(NAMED_UNIT(*)PLANE_ANGLE_UNIT()SI_UNIT($,.RADIAN.))")
        solid_angle = add("(NAMED_UNIT(*)SI_UNIT($,.STERADIAN.)SOLID_ANGLE_UNIT())")
        return add(
            f"(GEOMETRIC_REPRESENTATION_CONTEXT(3)GLOBAL_UNIT_ASSIGNED_CONTEXT(({length},{angle},"
            f"{solid_angle}))REPRESENTATION_CONTEXT('',''))"
        )

    context = units(unit)
    origin = place((0, 0, 0), (0, 0, 1), (1, 0, 0))
    shape = add(f"ADVANCED_BREP_SHAPE_REPRESENTATION('',({origin},{solid}),{context})")
    application = add("APPLICATION_CONTEXT('automotive design')")
    mechanical = add(f"PRODUCT_CONTEXT('',{application},'mechanical')")
    design = add(f"PRODUCT_DEFINITION_CONTEXT('part definition',{application},'design')")

    def product(name, shape):
        item = add(f"PRODUCT('{name}','{name}','',({mechanical}))")
        formation = add(f"PRODUCT_DEFINITION_FORMATION('','',{item})")
        definition = add(f"PRODUCT_DEFINITION('','',{formation},{design})")
        whole = add(f"PRODUCT_DEFINITION_SHAPE('','',{definition})")
        add(f"SHAPE_DEFINITION_REPRESENTATION({whole},{shape})")
        return definition

    box = product("box", shape)
    if copies:
        targets = [place(*copy) for copy in copies]
        root = place((0, 0, 0), (0, 0, 1), (1, 0, 0))
        frame = units(unit_of_copies or unit)
        pair = add(f"SHAPE_REPRESENTATION('',({','.join([root, *targets])}),{frame})")
        assembly = product("pair", pair)
        for number, target in enumerate(targets):
            use = add(f"NEXT_ASSEMBLY_USAGE_OCCURRENCE('{number}','','',{assembly},{box},$)")
            used = add(f"PRODUCT_DEFINITION_SHAPE('','',{use})")
            motion = add(f"ITEM_DEFINED_TRANSFORMATION('','',{origin},{target})")
            relation = add(
                f"(REPRESENTATION_RELATIONSHIP('','',{shape},{pair})"
                f"REPRESENTATION_RELATIONSHIP_WITH_TRANSFORMATION({motion})"
                f"SHAPE_REPRESENTATION_RELATIONSHIP())"
            )
            add(f"CONTEXT_DEPENDENT_SHAPE_REPRESENTATION({relation},{used})")
    data = "\n".join(f"#{i}={entity};" for i, entity in enumerate(entities, 1))
    return (
        "ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION((''),'2;1');\n"
        "FILE_NAME('','2026-01-01T00:00:00',(''),(''),'','','');\n"
        "FILE_SCHEMA(('AUTOMOTIVE_DESIGN'));\nENDSEC;\n"
        f"DATA;\n{data}\nENDSEC;\nEND-ISO-10303-21;\n"
    )


@pytest.mark.parametrize("suffix", CAD_SUFFIXES)
@pytest.mark.parametrize(("unit", "millimetres"), [("mm", 1.0), ("m", 1000.0), ("inch", 25.4)])
def test_step_files_are_scaled_to_millimetres(tmp_path, suffix, unit, millimetres):
    pytest.importorskip("cascadio")
    path = tmp_path / f"box{suffix}"
    path.write_text(step_box(np.array([10.0, 20.0, 30.0]) / millimetres, unit))
    part = load_part(path)
    assert part.is_watertight
    np.testing.assert_allclose(part.bounds, [[0, 0, 0], [10, 20, 30]], rtol=1e-5, atol=1e-5)
    assert part.volume == pytest.approx(6000, rel=1e-5)


@pytest.mark.parametrize(("unit", "millimetres"), [("mm", 1.0), ("inch", 25.4)])
@pytest.mark.parametrize("other", [None, "mm"])
def test_step_assemblies_are_placed_in_their_units(tmp_path, unit, millimetres, other):
    """The second box is rotated by a quarter turn about z: (x, y, z) -> (40 - y, x, z)."""
    pytest.importorskip("cascadio")
    size = np.array([10.0, 20.0, 30.0]) / millimetres
    at = 40.0 / (millimetres if other is None else 1.0)
    copies = [((0, 0, 0), (0, 0, 1), (1, 0, 0)), ((at, 0, 0), (0, 0, 1), (0, 1, 0))]
    (tmp_path / "pair.step").write_text(step_box(size, unit, copies, other))
    with pytest.warns(PartWarning, match="has 2 bodies"):
        part = load_part(tmp_path / "pair.step")
    assert part.volume == pytest.approx(12_000, rel=1e-5)
    boxes = sorted(part.split(only_watertight=True), key=lambda box: box.bounds[0, 0])
    np.testing.assert_allclose(boxes[0].bounds, [[0, 0, 0], [10, 20, 30]], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(boxes[1].bounds, [[20, 0, 0], [40, 10, 30]], rtol=1e-5, atol=1e-5)


def test_a_unit_for_a_step_file(tmp_path):
    pytest.importorskip("cascadio")
    (tmp_path / "box.step").write_text(step_box(np.array([10.0, 20.0, 30.0]), "mm"))
    with pytest.raises(PartError, match="box.step: has a unit of its own, not 'inch'; leave out"):
        load_part(tmp_path / "box.step", unit="inch")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "expected 'ISO-10303-21' at its beginning"),
        ("solid\n", "expected 'ISO-10303-21' at its beginning"),
        (step_box(np.ones(3), "mm")[:900], "expected 'END-ISO-10303-21' at its end; the file is"),
        ("ISO-10303-21;\nnothing\nEND-ISO-10303-21;", "it has no solid that Open CASCADE can read"),
    ],
)
def test_garbage_as_step(tmp_path, content, message):
    pytest.importorskip("cascadio")
    (tmp_path / "bad.stp").write_text(content)
    with pytest.raises(PartError, match=rf"bad.stp: {message}"):
        load_part(tmp_path / "bad.stp")


def test_a_step_file_that_ends_its_reader(tmp_path, monkeypatch):
    """Open CASCADE ends its process on some damaged files; here the child is ended by hand."""
    pytest.importorskip("cascadio")
    exchange = reader_process._exchange

    def killed(child, *arguments):
        os.kill(child.pid, signal.SIGSEGV)
        return exchange(child, *arguments)

    monkeypatch.setattr(reader_process, "_exchange", killed)
    (tmp_path / "box.stp").write_text(step_box(np.ones(3), "mm"))
    with pytest.raises(PartError, match=r"box.stp: its reader crashed \(SIGSEGV\); the file is"):
        load_part(tmp_path / "box.stp")


def test_what_a_file_has_and_is_not_read_is_a_warning(tmp_path):
    path = tmp_path / "box.stl"
    trimesh.creation.box((14.0, 15.0, 16.0)).export(path)
    path.write_bytes(path.read_bytes() + b"\0\0")
    for in_child in (False, True):
        with pytest.warns(PartWarning, match=r"box.stl: has 2 bytes after its 12 triangles, which"):
            part = read_part(path, in_child=in_child)
        assert part.is_watertight
        assert part.volume == pytest.approx(14 * 15 * 16)
        assert part.metadata["file_path"] == str(path)


def test_step_files_where_their_reader_is_not_installed(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "cascadio", None)
    (tmp_path / "part.STEP").touch()
    with pytest.raises(MissingReaderError, match=r"part.STEP: .* pip install 'flare-mesh\[cad\]'"):
        load_part(tmp_path / "part.STEP")


@pytest.mark.parametrize("suffix", SURFACES)
@pytest.mark.parametrize("content", [b"", b"solid nothing\nendsolid\n", b"\x00\xff" * 500])
def test_garbage(tmp_path, suffix, content):
    path = tmp_path / f"bad{suffix}"
    path.write_bytes(content)
    with pytest.raises(PartError, match=rf"bad{suffix}: "):
        load_part(path)


def test_nan_coordinates(tmp_path):
    box = trimesh.creation.box((1.0, 1.0, 1.0))
    vertices = box.vertices.copy()
    vertices[3, 1] = np.nan
    path = tmp_path / "nan.obj"
    lines = [f"v {x} {y} {z}" for x, y, z in vertices]
    lines += ["f " + " ".join(str(i + 1) for i in face) for face in box.faces]
    path.write_text("\n".join(lines))
    with pytest.raises(PartError, match=r"nan.obj: 1 vertices have NaN or infinite coordinates"):
        load_part(path)


def test_flat():
    flat = trimesh.Trimesh([[0, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, 1, 2]])
    with pytest.raises(PartError, match=r"part: .* of a solid \(got a flat one of 1 x 1 x 0 mm\)"):
        load_part(flat)


def test_a_surface_and_its_reverse_enclose_nothing():
    corners = [[0, 0, 0], [1, 0, 0.3], [1, 1, 0], [0, 1, 0.3]]
    fan = np.array([[0, 1, 4], [1, 2, 4], [2, 3, 4], [3, 0, 4]])
    back = np.where(fan == 4, 5, fan)[:, ::-1]
    sheet = trimesh.Trimesh(
        [*corners, [0.5, 0.5, 0], [0.5, 0.5, 0]], np.vstack([fan, back]), process=False
    )
    assert sheet.is_watertight
    with pytest.raises(PartError, match="part: .* of a solid .it encloses no volume"):
        load_part(sheet)


def test_imperfect_files_of_pyvista():
    examples = pytest.importorskip("pyvista.examples")
    with pytest.warns(PartWarning, match=r"airplane.ply: is not watertight and has \d+ bodies"):
        load_part(examples.planefile)
    with pytest.warns(PartWarning, match=r"ant.ply: has 15 bodies"):
        load_part(examples.antfile)
