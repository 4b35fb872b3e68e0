import json
import os
from dataclasses import fields, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf.core.base_plate import BasePlate
from lpbf.core.heat import Heat
from lpbf.core.material import Material
from lpbf.core.materials import MATERIALS
from lpbf.core.process import Process
from lpbf.core.strain_source import StrainSource
from lpbf.core.table import Table

OWN = Material(
    "mine: 1e3",
    youngs_modulus=1e5 / 3,
    poisson_ratio=0.3,
    yield_stress=Table((20, 1e-3 + 100, 800), (250.1, 1 / 7, 1e-5)),
    hardening_modulus=10,
    thermal_expansion=1.2e-5,
    density=8000,
    conductivity=Table((25,), (15,)),
    specific_heat=500,
    solidus=1400,
    liquidus=1450,
    latent_heat=2.5e5,
    sources=("yield_stress: ours, 2024", "ä"),
)
FULL = Process(
    material=OWN,
    layer_height=0.4,
    inherent_strain=(-0.006, -0.002, -1e-5),
    scan_rotation=67,
    scan_angle=-1 / 3,
    temperature=-20,
    plasticity=True,
    release=True,
    islands="powder",
    base_plate=BasePlate(thickness=25.4, margin=0, youngs_modulus=2.1e5),
    heat=Heat(preheat=170, dwell_time=12.5, time_steps=5, thermal_strain=True),
    incompatible_modes=False,
    powder_layers=3,
)


def test_defaults():
    process = Process()
    assert process.material == "Ti-6Al-4V"
    np.testing.assert_array_equal(process.layer_strain(5), [-0.004, -0.004, -0.004, 0, 0, 0])
    off = (process.plasticity, process.release, process.heat, process.base_plate)
    assert not any(off)


def test_scan_rotation_rotates_the_strain():
    process = Process(inherent_strain=(-0.004, -0.001, -0.002), scan_rotation=30.0)
    np.testing.assert_allclose(process.layer_strain(0), [-0.004, -0.001, -0.002, 0, 0, 0])
    np.testing.assert_allclose(
        process.layer_strain(3), [-0.001, -0.004, -0.002, 0, 0, 0], atol=1e-18
    )
    turned = process.layer_strain(1)
    assert turned[0] + turned[1] == pytest.approx(-0.005)
    assert turned[3] == pytest.approx(-0.003 * np.sin(np.deg2rad(60)))


@given(
    st.floats(-360, 360),
    st.floats(-360, 360),
    st.integers(0, 50),
    st.tuples(*[st.floats(-0.1, 0.1)] * 3),
)
def test_layer_strain_is_a_rotated_tensor(angle, rotation, layer, strain):
    process = Process(inherent_strain=strain, scan_angle=angle, scan_rotation=rotation)
    turn = np.deg2rad(angle + rotation * layer)
    c, s = np.cos(turn), np.sin(turn)
    axes = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    tensor = axes @ np.diag(strain) @ axes.T
    expected = [tensor[0, 0], tensor[1, 1], tensor[2, 2], 2 * tensor[0, 1], 0, 0]
    np.testing.assert_allclose(process.layer_strain(layer), expected, atol=1e-15)


def test_powder_layers_are_averaged():
    powder = Process(inherent_strain=(-0.006, -0.002, -0.004), scan_rotation=67, scan_angle=10)
    lumped = replace(powder, powder_layers=4)
    for layer in (0, 3):
        mean = np.mean([powder.layer_strain(4 * layer + n) for n in range(4)], axis=0)
        np.testing.assert_allclose(lumped.layer_strain(layer), mean, atol=1e-17)
    even = replace(powder, scan_rotation=90, powder_layers=30).layer_strain(7)
    np.testing.assert_allclose(even, [-0.004, -0.004, -0.004, 0, 0, 0], atol=1e-17)


def test_with_scan():
    process = Process(inherent_strain=(-0.006, -0.002, -0.004), scan_angle=5, release=True)
    turned = process.with_scan("stripes")
    assert turned == replace(process, scan_angle=90, scan_rotation=67)
    assert process.with_scan(45) == replace(process, scan_angle=0, scan_rotation=45)
    assert process.with_scan("chessboard").inherent_strain == (-0.004, -0.004, -0.004)
    with pytest.raises(ValueError, match="scan='67' has no effect; give both, or start from a p"):
        Process().with_scan("67")


def test_layers_of_several_voxels():
    assert [Process().voxels_per_layer(z) for z in (2.0, 0.4, 0.3, 0.2, 0.1)] == [1, 1, 1, 2, 4]
    assert Process(layer_height=0.9).voxels_per_layer(0.3) == 3
    for height in (0.5, 0.1):
        with pytest.raises(ValueError, match="is not a multiple of the voxel height of 0.3 mm"):
            Process(layer_height=height).voxels_per_layer(0.3)


def test_voxels_whose_rows_make_up_the_layers():
    default, thick = Process(), Process(layer_height=1.5)
    for pitch, height in ((2, 0.4), (0.5, 0.4), (0.3, 0.4), (0.25, 0.2), (0.1, 0.1)):
        np.testing.assert_allclose(default.voxel_size(pitch), (pitch, pitch, height))
    assert thick.voxel_size(1.5) == (1.5, 1.5, 1.5)
    assert thick.voxel_size(0.7) == (0.7, 0.7, 0.75)
    assert thick.voxel_size((2.0, 1.0, 0.3)) == (2.0, 1.0, 0.3)
    with pytest.raises(ValueError, match="expected the pitch as one or three lengths > 0 mm"):
        default.voxel_size(-1.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"material": "Ti6Al4V"}, "unknown material 'Ti6Al4V'; did you mean 'Ti-6Al-4V'"),
        ({"material": None}, "unknown material 'None'"),
        ({"layer_height": 0.0}, "layer_height > 0 mm"),
        ({"layer_height": float("inf")}, "layer_height > 0 mm"),
        ({"inherent_strain": (-0.5, 0.0, 0.0)}, "each within 0.1 of zero"),
        ({"inherent_strain": (0.0, 0.0)}, "expected inherent_strain as"),
        ({"inherent_strain": -0.004}, "expected inherent_strain as"),
        ({"inherent_strain": (0, 0, float("nan"))}, "expected inherent_strain as"),
        ({"inherent_strain": (0, 0, "0")}, "expected inherent_strain as"),
        ({"scan_rotation": float("nan")}, "finite scan_rotation"),
        ({"scan_angle": "67"}, "finite scan_angle .got '67'"),
        ({"temperature": float("inf")}, "-273.15 <= temperature <= 3000 C"),
        ({"temperature": True}, "-273.15 <= temperature"),
        ({"plasticity": "yes"}, "plasticity to be True or False .got 'yes'"),
        ({"release": 1}, "expected release as True, False or a list of cuts"),
        ({"incompatible_modes": None}, "incompatible_modes to be True or False"),
        ({"powder_layers": 0}, "whole number 1 <= powder_layers <= 10000 .got 0"),
        ({"powder_layers": 2.0}, "whole number 1 <= powder_layers"),
        ({"islands": "keep"}, r"unknown islands 'keep'; choose from .'drop', 'powder', 'refuse'"),
        ({"base_plate": 20.0}, "base_plate as a BasePlate or None .got 20.0"),
        ({"heat": True}, "heat as a Heat or None .got True"),
    ],
)
def test_bad_process(options, message):
    with pytest.raises(ValueError, match=message):
        Process(**options)


@pytest.mark.parametrize(
    ("options", "missing"),
    [
        ({"plasticity": True}, "yield_stress"),
        ({"heat": Heat()}, "density and conductivity and specific_heat and latent_heat"),
    ],
)
def test_the_material_must_have_the_properties_of_the_models(options, missing):
    elastic = Material("x", youngs_modulus=1e5, poisson_ratio=0.3)
    with pytest.raises(ValueError, match=f"Material 'x': expected {missing}, which this process"):
        Process(material=elastic, **options)


def test_a_melting_point_and_expansion_only_where_needed():
    material = Material(
        "x", 1e5, 0.3, density=8000, conductivity=10, specific_heat=500, latent_heat=0
    )
    Process(material=material, heat=Heat(deposition_temperature=1000.0))
    with pytest.raises(ValueError, match="Material 'x': expected liquidus"):
        Process(material=material, heat=Heat())
    with pytest.raises(ValueError, match="Material 'x': expected thermal_expansion"):
        Process(material=material, heat=Heat(deposition_temperature=1000.0, thermal_strain=True))


SOURCE = StrainSource(
    measurement="m.yaml", sha256=None, num_values=1, inherent_strain=(-0.1, 0, 0),
    intervals=((-0.1, -0.1), None, None), material="316L", plasticity=False, pitch=(1, 1, 1),
    layer_height=1,
)  # fmt: skip


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"strain": "thermo"}, "unknown strain 'thermo'; did you mean 'thermal'"),
        ({"heat": None}, "a heat model .got heat=None.; set heat"),
        ({"heat": Heat(thermal_strain=True)}, "heat.thermal_strain=False .got True"),
        (
            {"plastic_increments": 13},
            "at most as many plastic_increments as time_st.*13 and 12",
        ),
        (
            {"inherent_strain": (-0.1, 0, 0), "strain_source": SOURCE},
            "no strain_source, which belongs to an inherent strain; leave it out",
        ),
        ({"material": replace(MATERIALS["316L"], thermal_expansion=None)}, "thermal_expansion, w"),
    ],
)
def test_what_thermal_strain_needs(options, message):
    process = {"material": "316L", "heat": Heat(), "strain": "thermal"}
    assert Process(**process).strain == "thermal"
    with pytest.raises(ValueError, match=message):
        Process(**{**process, **options})


def test_a_scan_strategy_has_no_effect_on_thermal_strain():
    process = Process.preset("316L", strain="thermal")
    with pytest.raises(ValueError, match="strain='inherent' with a scan strategy .got scan='67'"):
        process.with_scan("67")


@pytest.mark.parametrize("process", [Process(), FULL], ids=["default", "full"])
def test_round_trip_of_files_and_dictionaries(process, tmp_path):
    values = process.to_dict()
    assert list(values) == [field.name for field in fields(Process)]
    assert Process.from_dict(json.loads(json.dumps(values))) == process
    process.to_yaml(tmp_path / "new" / "process.yaml")
    assert Process.from_yaml(tmp_path / "new" / "process.yaml") == process
    assert os.listdir(tmp_path / "new") == ["process.yaml"]
    assert hash(process) == hash(Process.from_dict(values))


@settings(max_examples=20)
@given(st.tuples(*[st.floats(-0.1, 0.1)] * 3), st.floats(allow_nan=False, allow_infinity=False))
def test_floats_are_stored_exactly(tmp_path_factory, strain, rotation):
    path = tmp_path_factory.getbasetemp() / "process.yaml"
    process = Process(inherent_strain=strain, scan_rotation=rotation)
    process.to_yaml(path)
    assert Process.from_yaml(path) == process


def read(text, tmp_path):
    path = tmp_path / "process.yaml"
    path.write_text(text)
    return Process.from_yaml(path)


def test_a_file_written_by_hand(tmp_path):
    process = read(
        """
        material: 316L
        layer_height: 1          # mm
        inherent_strain: [-6e-3, -2.E-3, -.004]
        scan_rotation: 067
        plasticity: yes
        base_plate: {}
        heat: {preheat: 1.7e2}
        """,
        tmp_path,
    )
    assert process == Process(
        material="316L",
        layer_height=1.0,
        inherent_strain=(-0.006, -0.002, -0.004),
        scan_rotation=67.0,
        plasticity=True,
        base_plate=BasePlate(),
        heat=Heat(preheat=170.0),
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Process: expected its fields by name .got None"),
        ("- 1", "Process: expected its fields by name"),
        (
            "scan_rotaton: 67",
            "Process: unknown field 'scan_rotaton'; did you mean 'scan_rotation'",
        ),
        ("1: 67", "Process: unknown field '1'; choose from .'base_plate', "),
        ("heat: {pre_heat: 67}", "Heat: unknown field 'pre_heat'; did you mean 'preheat'"),
        ("heat: 80", "Heat: expected its fields by name .got 80"),
        ("base_plate: {thickness: 20 mm}", "BasePlate: expected 0 < thickness .*got '20 mm'"),
        ("temperature: '25'", "temperature <= 3000 C .got '25'"),
        ("temperature: 1:30", "temperature <= 3000 C .got '1:30'"),
        ("temperature: .nan", "temperature <= 3000 C .got nan"),
        (
            "temperature: 1\nrelease: no\ntemperature: 2",
            "line 3: the key 'temperature' is re",
        ),
        ("material: 316", "unknown material '316'; did you mean '316L'"),
        (
            "material: {name: x, poisson_ratio: 0.3}",
            "Material: expected a youngs_modulus .got none",
        ),
        (
            "material: {name: x, poisson_ratio: 0.3, youngs_modulus: 1, yield_stress: {values: 1}}",
            "Table: unknown field 'values'; did you mean 'value'",
        ),
        (
            "material: {name: x, poisson_ratio: 0.3, youngs_modulus: 1, yield_stress: [1, 2]}",
            r"Material 'x': expected 0 < yield_stress .*got \[1, 2\]",
        ),
        ("material: !!python/object/apply:os.system ['true']", "line 1: could not determine a con"),
        ("material: [316L", "expected YAML of plain values .line"),
        ("? [a]\n: 1", "expected YAML of plain values"),
        ("release: \x00", "expected YAML"),
    ],
)
def test_bad_file(text, message, tmp_path):
    with pytest.raises(ValueError, match=f"process.yaml: .*{message}"):
        read(text, tmp_path)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="none.yaml: no such file"):
        Process.from_yaml(tmp_path / "none.yaml")


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "process.yaml"
    Process().to_yaml(path)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        FULL.to_yaml(path)
    assert Process.from_yaml(path) == Process()
    assert os.listdir(tmp_path) == ["process.yaml"]
