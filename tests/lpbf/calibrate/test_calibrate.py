import sys
from dataclasses import replace

import numpy as np
import pytest
import trimesh

import lpbf
from lpbf import Heat, PartError, Process, simulate, voxelize
from lpbf.calibrate import Bridge, Cantilever, MeasuredPoint, Measurement, TwinCantilever

# The bridge has 106 % of its volume in voxels of 1 mm.
pytestmark = pytest.mark.filterwarnings("ignore:.*its voxels hold 106 %")
STRAIN = (-0.005, -0.002, -0.003)
SMALL = Bridge(length=8.0, width=2.0, height=5.0, pillar=2.0, eaves=1.0)
ELASTIC = Process(inherent_strain=STRAIN, release=True)


def simulated(process, *, part=SMALL, pitch=1.0, offset=(0.0, 0.0, 0.0), nodes=slice(0, None, 5)):
    """All components of the simulated displacement of some nodes, as measured points."""
    surface = part if isinstance(part, trimesh.Trimesh) else part.surface()
    result = simulate(voxelize(surface, pitch), process)
    return [
        MeasuredPoint(position=position + offset, component=component, value=value)
        for position, values in zip(result.points[nodes], result.displacement[nodes], strict=True)
        for component, value in zip("xyz", values.tolist(), strict=True)
    ]


@pytest.fixture(scope="module")
def points():
    return simulated(ELASTIC)


def measured(points, **changes):
    given = {"specimen": SMALL, "pitch": (1.0, 1.0, 1.0), "process": ELASTIC, "uncertainty": 0.001}
    return Measurement(points=points, **given | changes)


@pytest.mark.parametrize(
    ("parameters", "start", "numbers"),
    [
        ("components", (-0.004, -0.004, -0.004), STRAIN),
        ("in_plane", (-0.004, -0.004, -0.003), STRAIN[:2]),
        ("scale", (-0.004, -0.0016, -0.0024), (1.25,)),
    ],
)
def test_known_strains_are_recovered(points, parameters, start, numbers):
    process = replace(ELASTIC, inherent_strain=start)
    seen = []
    calibration = lpbf.calibrate(
        measured(points, parameters=parameters, process=process), on_simulation=seen.append
    )
    np.testing.assert_allclose(calibration.numbers, numbers, rtol=1e-4)
    np.testing.assert_allclose(calibration.process.inherent_strain, STRAIN, rtol=1e-4)
    assert calibration.chi_square < 1e-6
    assert len(seen) == calibration.simulations <= 3
    source = calibration.process.strain_source
    assert source.num_values == len(points)
    assert (source.pitch, source.layer_height, source.plasticity) == ((1.0, 1.0, 1.0), 1.0, False)
    assert (source.intervals[2] is None) == (parameters == "in_plane")


def test_isotropic_strain_of_a_rotated_scan_with_heat():
    process = replace(
        ELASTIC,
        inherent_strain=(-0.006, -0.006, -0.006),
        scan_rotation=67.0,
        powder_layers=3,
        heat=Heat(dwell_time=10.0, thermal_strain=True),
    )
    start = replace(process, inherent_strain=(-0.004, -0.004, -0.004))
    calibration = lpbf.calibrate(measured(simulated(process), process=start))
    assert calibration.numbers == pytest.approx([-0.006], rel=1e-4)
    # One for the thermal strain, one for the inherent strain.
    assert calibration.simulations == 2
    assert calibration.process.heat == process.heat


def test_heat_conduction_is_left_out_of_an_elastic_part(points, monkeypatch):
    def refuse(*args, **options):
        pytest.fail("heat was simulated")

    monkeypatch.setattr(sys.modules["lpbf.simulate.simulate"], "simulate_heat", refuse)
    process = replace(ELASTIC, heat=Heat())
    calibration = lpbf.calibrate(measured(points, process=process))
    assert calibration.process.heat == Heat()


@pytest.mark.filterwarnings("ignore:.*is only 8 x 2 x 5 mm")
def test_a_part_file_elsewhere_and_directions(tmp_path, points):
    surface = SMALL.surface()
    away = np.array([40.0, -3.0, 7.0])
    surface.apply_translation(away).export(tmp_path / "part.stl")
    rng = np.random.default_rng(0)
    turned = []
    for number in range(0, len(points), 3):
        value = np.array([point.value for point in points[number : number + 3]])
        direction = rng.normal(size=3)
        turned.append(
            MeasuredPoint(
                position=np.array(points[number].position) + away,
                component=direction,
                value=value @ direction / np.linalg.norm(direction),
            )
        )
    calibration = lpbf.calibrate(
        measured(turned, specimen=None, part=tmp_path / "part.stl", parameters="components")
    )
    np.testing.assert_allclose(calibration.numbers, STRAIN, rtol=1e-4)


def test_a_part_file_in_inches_that_was_oriented(tmp_path):
    """Points have the coordinates of the file in mm, and its orientation."""
    surface = trimesh.creation.box((4.0, 10.0, 6.0))
    turn = trimesh.transformations.rotation_matrix(0.4, [1.0, 2.0, 0.5], [3.0, 0.0, 2.0])
    surface.apply_transform(turn).apply_scale(1 / 25.4).export(tmp_path / "part.stl")
    given = {"unit": "inch", "place": "orient"}
    mesh = voxelize(tmp_path / "part.stl", 1.0, **given)
    # Part of the part stays, so that the datum is that of the plate.
    process = replace(ELASTIC, release=[{"box": [[-9, -9, 0], [0, 9, 1]]}])
    result = simulate(mesh, process)
    nodes = np.flatnonzero(mesh.points[:, 2] > 1)[::7]
    motion = mesh.placement
    back = np.linalg.inv(motion.rotation)
    assert motion.is_rotated
    points = [
        MeasuredPoint(position=back @ (at - motion.translation), component=axis, value=value)
        for at, values in zip(mesh.points[nodes], result.displacement[nodes], strict=True)
        for axis, value in zip("xyz", back @ values, strict=True)
    ]
    found = measured(points, specimen=None, part=tmp_path / "part.stl", process=process, **given)
    found = lpbf.calibrate(replace(found, parameters="components"))
    np.testing.assert_allclose(found.numbers, STRAIN, rtol=1e-4)
    np.testing.assert_allclose(found.residual, 0, atol=1e-7)
    outside = replace(points[0], position=points[0].position + np.array([0.0, 0.0, 50.0]))
    with pytest.raises(ValueError, match=r"mm outside the voxels .* give nominal positions"):
        lpbf.calibrate(measured([outside], specimen=None, part=tmp_path / "part.stl", **given))


def test_the_datum_does_not_matter_if_the_alignment_is_fitted(points):
    rotation, shift = np.array([0.002, -0.003, 0.001]), np.array([0.1, -0.2, 0.05])
    moved = []
    for point in points:
        motion = shift + np.cross(rotation, point.position)
        moved.append(replace(point, value=point.value + point.direction @ motion))
    calibration = lpbf.calibrate(measured(moved, parameters="components", alignment="fitted"))
    np.testing.assert_allclose(calibration.numbers, STRAIN, rtol=1e-4)
    assert calibration.degrees_of_freedom == len(points) - 3 - 6
    np.testing.assert_allclose(calibration.residual, 0, atol=1e-7)
    wrong = lpbf.calibrate(measured(moved, parameters="components"))
    assert "times as large as the uncertainties explain" in wrong.warnings[0]


def test_noise_gives_errors_of_the_stated_size(points):
    rng = np.random.default_rng(5)
    noisy = [replace(p, value=p.value + 0.002 * rng.normal(), uncertainty=0.002) for p in points]
    process = replace(ELASTIC, inherent_strain=(-0.004, -0.004, -0.003))
    calibration = lpbf.calibrate(measured(noisy, parameters="in_plane", process=process))
    error = np.abs(calibration.numbers - STRAIN[:2])
    assert (error > 0).all()
    assert (error < 3 * calibration.standard_error).all()
    assert 0.001 < calibration.p_value < 0.999
    (low, high), _, given = calibration.process.strain_source.intervals
    assert given is None
    assert (low, high) == tuple(calibration.interval[0])
    assert high - low == pytest.approx(2 * 1.96 * calibration.standard_error[0], rel=1e-4)


@pytest.mark.parametrize(("kind", "length"), [(Cantilever, 8.0), (TwinCantilever, 14.0)])
def test_a_cantilever_whose_block_stays_on_the_plate(kind, length):
    part = kind(length=length, width=2.0, height=4.0, thickness=2.0, block=2.0)
    process = replace(ELASTIC, release=part.release)
    points = simulated(process, part=part, nodes=slice(None))
    end = [p.value for p in points if p.position == (length / 2, 0.0, 4.0)]
    foot = -4.0 if kind is Cantilever else 0.0
    base = [p.value for p in points if p.position == (foot, 0.0, 0.0)]
    assert end[2] > 0.02  # the end bends up
    assert base == [0.0, 0.0, 0.0]
    calibration = lpbf.calibrate(
        measured(points, specimen=part, process=process, parameters="components")
    )
    np.testing.assert_allclose(calibration.numbers, STRAIN, rtol=1e-4)
    # The cuts are those of the cantilever.
    assert calibration.process.release is True


def test_points_on_voxels_that_are_cut_away(points):
    process = replace(ELASTIC, release=[{"below": 1.0}])
    points = [p for p in simulated(process) if p.position[2] >= 1]
    calibration = lpbf.calibrate(measured(points, process=process, parameters="components"))
    np.testing.assert_allclose(calibration.numbers, STRAIN, rtol=1e-4)
    process = replace(ELASTIC, release=[{"below": 3.0}])
    with pytest.raises(ValueError, match=r"is 2 mm outside the voxels that are left.* 3 to 5 mm"):
        lpbf.calibrate(measured(points, process=process))
    process = replace(ELASTIC, release=[{"below": 5.0}])
    with pytest.raises(PartError, match="the cuts leave nothing of the part; move them"):
        lpbf.calibrate(measured(points, process=process))


@pytest.mark.slow
def test_known_strains_of_a_plastic_part_are_recovered():
    process = Process.preset("316L", heat=None, plasticity=True, release=True, scan=0.0)
    process = replace(process, inherent_strain=STRAIN, plastic_increments=1)
    points = simulated(process)
    start = replace(process, inherent_strain=(-0.0035, -0.003, -0.004))
    calibration = lpbf.calibrate(measured(points, parameters="components", process=start))
    np.testing.assert_allclose(calibration.numbers, STRAIN, rtol=1e-4)
    assert calibration.process.strain_source.plasticity
    elastic = lpbf.calibrate(
        measured(points, parameters="components", process=replace(start, plasticity=False))
    )
    assert np.abs(elastic.numbers / STRAIN - 1).max() > 0.05  # the material did yield


def test_points_outside_the_part(points):
    outside = [
        replace(points[0], position=(7.5, 0.0, 1.0)),
        replace(points[0], position=(0.0, 0.0, -2.0)),
    ]
    with pytest.raises(
        ValueError,
        match=r"points\[75\]: \(7.5, 0, 1\) mm is 3.5 mm outside the voxels that are left "
        r"of the part, over x, y, z = -4 to 4, -1 to 1, 0 to 5 mm \(and 1 other points\)",
    ):
        lpbf.calibrate(measured([*points[:75], *outside]))
    # The surface of a part may lie up to a voxel outside its voxels.
    lpbf.calibrate(measured([*points, replace(points[0], position=(4.9, 0.0, 1.0))]))


def test_strains_that_the_values_do_not_tell_apart(points):
    # Two orthogonal powder layers: only the mean of exx and eyy acts.
    process = replace(ELASTIC, scan_rotation=90.0, powder_layers=2)
    with pytest.raises(ValueError, match="the measured values do not tell exx and eyy apart; mea"):
        lpbf.calibrate(measured(points, parameters="in_plane", process=process))
    on_plate = [p for p in points if p.position[2] == 0]
    with pytest.raises(ValueError, match="do not depend on the inherent strain"):
        lpbf.calibrate(measured(on_plate, process=replace(ELASTIC, release=False)))


def test_strains_that_are_hardly_known(points):
    calibration = lpbf.calibrate(measured(points, parameters="components", uncertainty=0.004))
    (warning,) = calibration.warnings
    assert warning.startswith("the measured values hardly depend on ezz: the 95 % interval of ezz")


def test_what_to_know_about_a_calibration(points):
    alone = lpbf.calibrate(measured(points[-1:]))
    assert alone.p_value is None
    assert alone.process.strain_source.reduced_chi_square is None
    assert alone.warnings[-1].startswith("there are as many values as unknowns")
    opposite = [replace(point, value=-point.value) for point in points]
    found = lpbf.calibrate(measured(opposite, parameters="scale"))
    assert found.warnings == (
        "a strain is positive: the part would expand; check the signs of the values",
    )
    on_plate = replace(ELASTIC, release=False)
    found = lpbf.calibrate(measured(simulated(on_plate), parameters="scale", process=on_plate))
    assert found.warnings[0].startswith("the process has no release")


def test_too_few_values(points):
    with pytest.raises(ValueError, match="at least 3 measured values for 3 strains .got 2."):
        lpbf.calibrate(measured(points[:2], parameters="components"))
    with pytest.raises(ValueError, match="1 strain and the size of the residuals .got 1."):
        lpbf.calibrate(measured(points[:1], intervals="residuals"))
    with pytest.raises(ValueError, match="at least 6 .* 1 strain, 5 rigid-body motions .got 5."):
        lpbf.calibrate(measured(points[9:14], alignment="fitted"))


def test_values_in_another_unit(points):
    micrometres = [replace(point, value=1e3 * point.value) for point in points]
    with pytest.raises(ValueError, match="strain within 0.1 of zero .the values give -5.+unit"):
        lpbf.calibrate(measured(micrometres, parameters="components"))
