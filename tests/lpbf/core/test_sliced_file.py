import struct

import numpy as np
import pytest

from lpbf import PartError, PartWarning, Process, simulate, voxelize_layers
from lpbf.core.sliced_file import read_sliced
from lpbf.core.sliced_part import signed_area
from lpbf.core.voxelize_layers import winding_numbers
from lpbf.simulate.__main__ import main

OUTER = np.array([[0.0, 0.0], [12.0, 0.0], [12.0, 8.0], [0.0, 8.0]])
INNER = np.array([[4.0, 2.0], [4.0, 6.0], [8.0, 6.0], [8.0, 2.0]])
SOLID = np.array([[0.0, 0.0], [6.0, 0.0], [6.0, 8.0], [0.0, 8.0]])
LAYERS = [  # height in mm, polylines with their directions
    (1.0, []),
    (3.0, [(1, OUTER), (0, INNER)]),
    (5.0, [(1, OUTER), (0, INNER)]),
    (7.0, [(1, SOLID), (2, INNER)]),
]
VOLUME = 2 * (96 - 16) * 2 + 48 * 2


def header(kind, units, more="", count=4):
    return (
        f"$$HEADERSTART\n$${kind}\n{more}$$UNITS/{units}\n$$VERSION/200 // a comment //\n"
        f"$$LABEL/1,part\n$$LAYERS/{count}\n$$HEADEREND"
    )


def tube(binary=False, units=0.01, short=True, aligned=False, layers=LAYERS):
    """A tube of 12 x 8 x 4 mm below half of a lid of 2 mm, from z = 1 mm on, as a CLI file."""
    scaled = [
        (round(z / units), [(way, np.rint(line / units).astype(int)) for way, line in lines])
        for z, lines in layers
    ]
    if not binary:
        text = [header("ASCII", units, count=len(layers)), "\n$$GEOMETRYSTART\n"]
        for z, lines in scaled:
            text.append(f"$$LAYER/{z}\n$$HATCHES/1,1,0,0,100,100\n")
            for way, line in lines:
                numbers = ",".join(map(str, line.ravel().tolist()))
                text.append(f"$$POLYLINE/1,{way},{len(line)},{numbers}\n")
        return "".join([*text, "$$GEOMETRYEND\n"]).encode()
    more = "$$ALIGN\n" if aligned else ""
    out, start = bytearray(header("BINARY", units, more, len(layers)).encode()), None
    start = len(out)

    def add(command, form, *values):
        out.extend(struct.pack("<HH" if aligned else "<H", command, *([0] if aligned else [])))
        out.extend(struct.pack("<" + form, *values))
        if aligned:
            out.extend(b"\0" * (-(len(out) - start) % 4))

    for z, lines in scaled:
        add(128, "H", z) if short else add(127, "f", z)
        hatch = (1, 1, 0, 0, 100, 100)
        add(131, "6H", *hatch) if short else add(132, "2i4f", *hatch)
        for way, line in lines:
            numbers = line.ravel().tolist()
            count = f"{len(numbers)}"
            if short:
                add(129, f"3H{count}H", 1, way, len(line), *numbers)
            else:
                add(130, f"3i{count}f", 1, way, len(line), *numbers)
    return bytes(out)


KINDS = [{}, *({"binary": True, "short": s, "aligned": a} for s in (0, 1) for a in (0, 1))]


@pytest.mark.parametrize("units", [0.01, 0.005])
@pytest.mark.parametrize("kind", KINDS)
def test_text_and_binary_in_any_unit(tmp_path, kind, units):
    (tmp_path / "a.cli").write_bytes(tube(units=units, **kind))
    part = read_sliced(tmp_path / "a.cli")
    np.testing.assert_allclose(part.tops, [1, 3, 5, 7], rtol=1e-6)
    np.testing.assert_allclose(part.bounds, [[0, 0, 1], [12, 8, 7]], rtol=1e-6, atol=1e-6)
    assert [len(layer) for layer in part.contours] == [0, 2, 2, 1]
    assert part.volume == pytest.approx(VOLUME)
    mesh = voxelize_layers(tmp_path / "a.cli", 1.0)
    expected = np.ones((12, 8, 6), bool)
    expected[4:8, 2:6, :4] = False
    expected[6:, :, 4:] = False
    np.testing.assert_array_equal(mesh.mask, expected)
    np.testing.assert_allclose(mesh.placement.translation, [-6, -4, -1])


def test_lengths_that_fit_no_voxel(tmp_path):
    (tmp_path / "a.cli").write_bytes(tube())
    with pytest.warns(PartWarning, match=r"a.cli: its voxels hold \d+ % of its volume; use a"):
        mesh = voxelize_layers(tmp_path / "a.cli", 3.9)
    assert mesh.mask.shape == (3, 2, 2)
    with pytest.raises(PartError, match="larger than the build volume"):
        voxelize_layers(tmp_path / "a.cli", 1.0, build_volume=(10.0, 10.0, 10.0))
    with pytest.raises(PartError, match="over the limit of 100; use a coarser pitch"):
        voxelize_layers(tmp_path / "a.cli", 1.0, max_voxels=100)


def test_winding_numbers():
    """Overlapping outer contours are united, and an inner contour alone is nothing."""

    def grid(*contours):
        return winding_numbers(list(contours), (14, 10), np.ones(2), np.array([-1.0, -1.0])) > 0

    square = np.array([[1.0, 1.0], [5.0, 1.0], [5.0, 5.0], [1.0, 5.0]])
    assert grid(square, square + 2).sum() == 16 + 16 - 4
    assert grid(square[::-1]).sum() == 0
    assert grid(OUTER, square[::-1]).sum() == 96 - 16
    assert grid(OUTER, square[::-1], square[::-1][:, [0, 1]] * 0.5 + 1.5).sum() == 96 - 16
    triangle = np.array([[0.0, 0.0], [9.0, 0.0], [0.0, 9.0]])
    assert signed_area(triangle) == 40.5
    assert grid(triangle).sum() == sum(x + y < 9 for x in np.arange(12) + 0.5 for y in
                                       np.arange(9) + 0.5)  # fmt: skip


def test_overlapping_outer_contours_are_united_without_a_warning(tmp_path):
    """Two boxes of 6 x 8 mm that share 3 x 8 mm; the voxels hold their union, whole."""
    contours = [(1, SOLID), (1, SOLID + np.array([3.0, 0.0]))]
    layers = [(0.0, []), (2.0, contours), (4.0, contours)]
    (tmp_path / "a.cli").write_bytes(tube(layers=layers))
    mesh = voxelize_layers(tmp_path / "a.cli", 1.0)
    assert mesh.mask.shape == (9, 8, 4)
    assert mesh.mask.all()


@pytest.mark.parametrize(
    ("heights", "said"),
    [
        ([0, 1, 2, 3, 4, 7, 8, 9], r"1 of 8 layers .* z = 4 to 7 mm, where 1 mm are usual"),
        ([0, 1, 2, 5, 8, 9, 10, 11], r"2 of 8 layers .* z = 2 to 5 mm"),
        ([0, 6, 7, 8, 9, 10], r"1 of 6 layers .* z = 0 to 6 mm"),
        ([0, 1, 2, 3, 6], r"1 of 5 layers .* z = 3 to 6 mm"),
        ([0, 1, 2, 3, 5, 7, 9], None),  # adaptive layers
        ([0, 0.8, 2, 3, 4.4], None),
        ([0, 4], None),
    ],
)
def test_missing_layers_are_a_warning(tmp_path, heights, said):
    layers = [(z, [(1, OUTER)] if z else []) for z in heights]
    (tmp_path / "a.cli").write_bytes(tube(layers=layers))
    if said is None:
        read_sliced(tmp_path / "a.cli")
        return
    with pytest.warns(PartWarning, match=f"a.cli: {said}.*are missing, export the file again"):
        part = read_sliced(tmp_path / "a.cli")
    assert part.volume == pytest.approx(96 * heights[-1])


def test_contours_against_their_direction(tmp_path):
    layers = [(z, [(way, line[::-1]) for way, line in lines]) for z, lines in LAYERS]
    (tmp_path / "a.cli").write_bytes(tube(layers=layers))
    with pytest.warns(PartWarning, match="a.cli: 5 contours run against their direction"):
        assert read_sliced(tmp_path / "a.cli").volume == pytest.approx(VOLUME)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("$$HEADERSTART", "HEADER", r"expected '\$\$HEADERSTART' at its beginning"),
        ("$$HEADEREND", "", r"expected '\$\$HEADEREND'"),
        ("$$ASCII", "", r"expected \$\$ASCII or \$\$BINARY"),
        ("$$UNITS/0.01", "", r"expected \$\$UNITS > 0 .*\(got 0\)"),
        ("$$UNITS/0.01", "$$UNITS/mm", r"expected 1 number after \$\$UNITS \(got 'mm'\)"),
        ("$$UNITS/0.01", "$$UNITS/1e9", "expected coordinates within 1e"),
        ("$$LAYERS/4", "$$LAYERS/5", "declares 5 layers, but it has 4; it is cut off"),
        ("$$GEOMETRYEND", "", "the file is cut off"),
        ("$$LAYER/500", "$$LAYER/90", "with rising heights"),
        ("$$LAYER/500", "$$LEVEL/500", r"expected \$\$LAYER, .* \(got '\$\$LEVEL'\)"),
        ("POLYLINE/1,1,4", "POLYLINE/1,1,5", "number of points and two coordinates of each"),
        ("POLYLINE/1,1,4", "POLYLINE/1,3,4", r"expected the direction 0 .* \(got 3\)"),
        ("POLYLINE/1,1,4,0,", "POLYLINE/1,1,4,x,", r"expected numbers after \$\$POLYLINE"),
        ("$$UNITS/0.01", "$$UNITS/0.01\n0", r"1 number after \$\$UNITS \(got '0.01 0'\)"),
        ("$$LABEL", "$$USERDATA/1,2,\n$$LABEL", "has user data in its header"),
    ],
)
def test_refused_text(tmp_path, old, new, message):
    text = tube().decode()
    assert old in text
    (tmp_path / "a.cli").write_text(text.replace(old, new))
    with pytest.raises(PartError, match=rf"a.cli: .*{message}"):
        read_sliced(tmp_path / "a.cli")


def test_refused_files(tmp_path):
    path = tmp_path / "a.cli"
    with pytest.raises(FileNotFoundError, match=r"a.cli: no such file; give the path of a sliced"):
        read_sliced(path)
    path.write_bytes(tube(layers=[(z, []) for z, _ in LAYERS]))
    with pytest.raises(PartError, match=r"expected closed contours \(got hatches or open lines"):
        read_sliced(path)
    path.write_bytes(tube(layers=[(z, [(2, OUTER)]) for z, _ in LAYERS]))
    with pytest.raises(PartError, match="expected closed contours"):
        read_sliced(path)
    path.write_bytes(tube(layers=[*LAYERS[:2], (5.0, [(0, INNER)]), LAYERS[3]]))
    with pytest.raises(PartError, match=r"outer contour .* \(got inner ones alone, .* z = 5 mm\)"):
        read_sliced(path)
    path.write_bytes(tube(binary=True) + b"\x01\x02")
    with pytest.raises(PartError, match=r"expected a command from 127 to 132 \(got 513\)"):
        read_sliced(path)


@pytest.mark.parametrize("kind", KINDS)
def test_cut_anywhere(tmp_path, kind):
    whole = tube(**kind)
    for size in np.random.default_rng(0).integers(0, len(whole) - 14, 25).tolist():
        (tmp_path / "a.cli").write_bytes(whole[:size])
        with pytest.raises(PartError, match="a.cli: "):
            read_sliced(tmp_path / "a.cli")


def test_on_the_command_line(tmp_path, capsys):
    (tmp_path / "a.cli").write_bytes(tube())
    command = [str(tmp_path / "a.cli"), "--out", str(tmp_path / "a.vtu"), "--pitch", "2"]
    layers = ["--layer-height", "2"]
    assert main([*command, *layers]) == 0
    said = capsys.readouterr().out
    assert f"a.cli: 12 x 8 x 6 mm, 4 slices\n{tmp_path / 'a.cli'}: " in said
    expected = simulate(voxelize_layers(tmp_path / "a.cli", 2.0), Process(layer_height=2.0))
    largest = np.linalg.norm(expected.displacement, axis=1).max()
    assert f"max displacement    {largest:.3f} mm" in said
    assert main([*command, "--unit", "mm"]) == 2
    assert "expected one sliced file alone, .* (got --unit)".replace(".*", "which has") in (
        capsys.readouterr().err.replace("which has its unit and place, and no surface", "which has")
    )
