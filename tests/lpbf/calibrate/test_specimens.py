import pytest

from lpbf import voxelize
from lpbf.calibrate import SPECIMENS, Bridge, Cantilever, Measurement, TwinCantilever
from lpbf.calibrate.specimens import read_specimen
from lpbf.calibrate.template import write_specimen
from lpbf.core.part import load_part


@pytest.mark.parametrize(
    ("specimen", "volume"),
    [
        (Cantilever(), 10 * (60 * 9 - 25 * 6)),
        (Cantilever(length=13, width=3, height=5, thickness=2, block=4, tooth=1, gap=2), 3 * 47),
        (TwinCantilever(), 10 * (110 * 9 - 2 * 25 * 6)),
        (Bridge(), 8 * (24 * 10 - 12 - 36)),
    ],
)
def test_shapes(specimen, volume):
    surface = specimen.surface()
    assert surface.is_watertight
    assert surface.body_count == 1
    assert surface.volume == pytest.approx(volume)
    x, y = specimen.length / 2, specimen.width / 2
    assert surface.bounds.ravel() == pytest.approx([-x, -y, 0, x, y, specimen.height])
    for (px, py, pz), component in specimen.points():
        assert abs(px) <= x
        assert abs(py) <= y
        assert 0 <= pz <= specimen.height
        assert component == "z"
    assert read_specimen(specimen.to_dict()) == specimen


def test_whole_voxels():
    """Without a warning that voxels are unsupported or hold more or less than the specimen."""
    for kind in SPECIMENS.values():
        specimen = kind()
        assert voxelize(specimen.surface(), specimen.pitch).num_nodes > 1000


@pytest.mark.parametrize(
    ("kind", "dimensions", "message"),
    [
        (Cantilever, {"thickness": 9.0}, "expected thickness < height"),
        (
            Cantilever,
            {"length": 61.0},
            "got thickness 3, height 9, and 25.5 pairs in an arm of 51 mm",
        ),
        (TwinCantilever, {"block": 120.0}, "pairs in an arm of -5 mm"),
        (Bridge, {"pillar": 12.0}, "an opening of 0 mm"),
        (Bridge, {"eaves": 4.0}, "whose roof ends at 10 of 10 mm"),
        (Bridge, {"width": 0.0}, "expected 0 < width"),
    ],
)
def test_bad_dimensions(kind, dimensions, message):
    with pytest.raises(ValueError, match=message):
        kind(**dimensions)


@pytest.mark.parametrize("kind", SPECIMENS)
def test_files_to_print_and_to_fill_in(tmp_path, kind):
    specimen = SPECIMENS[kind]()
    template = write_specimen(specimen, tmp_path / "out.stl", preset="316L", pitch=0.5)
    surface = load_part(tmp_path / "out.stl")
    assert surface.volume == pytest.approx(specimen.surface().volume, rel=1e-5)
    with pytest.raises(ValueError, match=r"points\[0\]: MeasuredPoint: expected the measured valu"):
        Measurement.from_yaml(template)
    template.write_text(template.read_text().replace("value: }", "value: 0.25}"))
    m = Measurement.from_yaml(template)
    assert (m.specimen, m.pitch) == (specimen, (0.5, 0.5, 0.4))
    assert m.process.material == "316L"
    assert m.process.release
    assert [p.position for p in m.points] == [position for position, _ in specimen.points()]


def test_filled_files_are_not_overwritten(tmp_path):
    (tmp_path / "a.yaml").write_text("measured")
    with pytest.raises(FileExistsError, match="a.yaml: exists and may hold measured values"):
        write_specimen(Bridge(), tmp_path / "a.stl")
    assert not (tmp_path / "a.stl").exists()
    with pytest.raises(ValueError, match="expected a file of type .stl"):
        write_specimen(Bridge(), tmp_path / "a.obj")
