import hashlib
import re

import numpy as np
import pytest
import trimesh

from lpbf import Process
from lpbf.calibrate import Bridge, MeasuredPoint, Measurement

TEXT = """\
part: part.stl
pitch: [2, 2, 2]
process: {preset: 316L, plasticity: true, release: true, scan_rotation: 90}
parameters: components
intervals: residuals
alignment: fitted
uncertainty: 1e-2
points:
- {position: [0, 1, 2.5], component: z, value: 0.3}
- {position: [1, 1, 0], component: [0, -3, 4], value: -1e-3, uncertainty: 0.5}
"""


@pytest.fixture
def read(tmp_path):
    def read(text):
        (tmp_path / "m.yaml").write_text(text)
        return Measurement.from_yaml(tmp_path / "m.yaml")

    return read


def test_a_file(read, tmp_path):
    m = read(TEXT)
    assert m.part == tmp_path / "part.stl"
    assert m.process == Process.preset("316L", plasticity=True, release=True, scan_rotation=90)
    assert (m.parameters, m.intervals, m.alignment) == ("components", "residuals", "fitted")
    assert m.pitch == (2.0, 2.0, 2.0)
    np.testing.assert_array_equal(m.values, [0.3, -1e-3])
    np.testing.assert_array_equal(m.uncertainties, [0.01, 0.5])
    np.testing.assert_allclose([p.direction for p in m.points], [[0, 0, 1], [0, -0.6, 0.8]])
    assert [p.component_text for p in m.points] == ["z", "(0, -3, 4)"]
    assert (m.name, m.sha256) == ("m.yaml", hashlib.sha256(TEXT.encode()).hexdigest())


def test_a_specimen_and_the_file_of_a_process(read, tmp_path):
    process = Process("IN718", release=True)
    process.to_yaml(tmp_path / "p.yaml")
    text = TEXT.replace("part: part.stl", "specimen: {kind: bridge, length: 26}")
    m = read(re.sub("process: .*", "process: p.yaml", text))
    assert (m.part, m.specimen, m.process) == (None, Bridge(length=26.0), process)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("pitch: [2, 2, 2]", "pich: [2, 2, 2]"),
            "m.yaml: Measurement: unknown field 'pich'; did you mean 'pitch'",
        ),
        (("pitch: [2, 2, 2]", "source: a"), "m.yaml: Measurement: unknown field 'source'"),
        (("pitch: [2, 2, 2]\n", ""), "m.yaml: Measurement: expected a pitch .got none."),
        (("pitch: [2, 2, 2]", "pitch: -1"), "expected the pitch as one or three lengths > 0 mm"),
        *(
            (
                ("pitch: [2, 2, 2]", f"pitch: {pitch}"),
                "expected the pitch as one or three lengths > 0 mm",
            )
            for pitch in ("{}", "fine", "[1, [2], 3]", "true", "")
        ),
        (("part: part.stl\n", ""), "expected a part or a specimen .got none."),
        (("part: ", "specimen: {kind: bridge}\npart: "), "a part or a specimen .got both."),
        (("part: part.stl", "part: 3"), "expected part as a file name .got 3."),
        (("part: part.stl", "specimen: {kind: brige}"), "unknown specimen 'brige'; did you mean"),
        (
            ("part: part.stl", "specimen: {kind: bridge, lenght: 2}"),
            "Bridge: unknown field 'lenght'",
        ),
        (("part: part.stl", "specimen: bridge"), "specimen: expected a kind, one of"),
        (("pitch", "unit: yard\npitch"), "unknown unit 'yard'"),
        (("pitch", "place: down\npitch"), "unknown place 'down'"),
        *(
            (("part: part.stl", f"specimen: {{kind: bridge}}\n{entry}"), f"got {entry} of a specim")
            for entry in ("unit: inch", "place: orient")
        ),
        (("components", "three"), "unknown parameters 'three'; choose from"),
        (("residuals", "t"), "unknown intervals 't'"),
        (("fitted", "best"), "unknown alignment 'best'"),
        (("uncertainty: 1e-2\n", ""), r"points\[0\]: expected an uncertainty > 0 mm .got none."),
        (("1e-2", "0"), r"expected uncertainty > 0 <= 1000 mm|expected 0 < uncertainty"),
        (
            ("uncertainty: 0.5", "uncertainty: 0"),
            r"points\[1\]: MeasuredPoint: expected 0 < uncert",
        ),
        (
            ("value: 0.3", "value: "),
            r"points\[0\]: MeasuredPoint: expected the measured value in mm",
        ),
        (("value: 0.3", "value: .nan"), r"points\[0\]: MeasuredPoint: expected -1000 <= value"),
        (("component: z", "component: w"), r"points\[0\]: MeasuredPoint: unknown component 'w'"),
        (("[0, -3, 4]", "[0, 0, 0]"), r"points\[1\]: .*expected a component with a length"),
        (("[0, 1, 2.5]", "[0, 1]"), r"points\[0\]: .*expected position as .x, y, z."),
        (("value: 0.3", "value: 0.3, at: 2"), r"points\[0\]: MeasuredPoint: unknown field 'at'"),
        (("preset: 316L", "supports: {generate: false}"), "expected a process that generates its"),
        (("preset: 316L", "preset: 316L, strain: thermal"), "strain: inherent .got thermal, which"),
        (("preset: 316L", "preset: 317L"), "unknown preset '317L'; did you mean '316L'"),
        (("plasticity: true", "plastic: true"), "Process: unknown field 'plastic'"),
        (("part: part.stl", "!!python/name:os.system {}: 1"), "expected YAML of plain values"),
    ],
)
def test_bad_files(read, change, message):
    assert change[0] in TEXT
    with pytest.raises(ValueError, match=message) as raised:
        read(TEXT.replace(*change))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["[]", "3", "", "points: 3\npitch: 1\nprocess: {}\npart: a.stl\n"])
def test_other_yaml(read, text):
    with pytest.raises(ValueError, match=r"m.yaml: (Measurement|points): expected"):
        read(text)


def test_in_memory():
    point = MeasuredPoint(position=np.zeros(3), component="x", value=1, uncertainty=1)
    box = trimesh.creation.box((4.0, 4.0, 4.0))
    m = Measurement(part=box, pitch=1.0, process=Process(), points=[point])
    assert (m.name, m.sha256) == ("values without a file", None)
    with pytest.raises(ValueError, match="expected measured points .got none."):
        Measurement(part=box, pitch=1.0, process=Process(), points=[])
