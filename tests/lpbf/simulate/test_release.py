"""Spring-back of a part that is released from its plate."""

import numpy as np
import pytest
import torch

from lpbf import HexMesh, Material, Process, simulate
from lpbf.mechanics.build import make_build
from lpbf.mechanics.build_steps import build_steps
from lpbf.mechanics.elastic_stepper import ElasticStepper
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.simulate.part_view import built
from lpbf.simulate.release import release
from lpbf.simulate.release_steps import release_steps
from lpbf.simulate.run_steps import run_steps

STEEL = Material("steel", 200_000.0, 0.3, yield_stress=1e6)
STRAIN = (-0.004, -0.001, -0.002)


def released(mask, spacing=1.0, tolerance=1e-10, **process):
    mesh = HexMesh.from_mask(mask, spacing)
    options = {"material": STEEL, "inherent_strain": STRAIN, "release": True, **process}
    return simulate(mesh, Process(**options), tolerance=tolerance)


def rotation_and_translation(points, u):
    """Best-fit rigid-body motion of displacements: translation and rotation vector, [6]."""
    centred = points - points.mean(axis=0)
    rows = []
    for x, y, z in centred:
        rows += [[1, 0, 0, 0, z, -y], [0, 1, 0, -z, 0, x], [0, 0, 1, y, -x, 0]]
    return np.linalg.lstsq(np.array(rows), u.ravel(), rcond=None)[0]


def wedge():
    mask = np.ones((5, 3, 5), dtype=bool)
    mask[3:, :, :2] = False
    mask[3:, 1:, 2] = False
    mask[1, 1, 1:] = False
    return mask


def test_forces_vanish_and_rigid_body_modes_are_removed():
    mesh = HexMesh.from_mask(np.ones((3, 2, 4)), (1.0, 1.5, 0.5))
    build = make_build(mesh, Process(material=STEEL, scan_rotation=67.0))
    stepper, equilibrium = ElasticStepper(build), Equilibrium(build, tolerance=1e-11)
    steps = build_steps(build, None, expansion=None, ambient=25.0, device="cpu")
    state = run_steps(build, steps, stepper, equilibrium)
    clamped = stepper.internal_force()
    scale = float(clamped.norm())
    assert scale > 100  # N, of the supports
    alone, _ = built(build)
    free_stepper = stepper.extract(alone, torch.arange(mesh.num_cells))
    on_plate = state.displacement.numpy()
    steps = release_steps(mesh, True)
    (done,) = release(free_stepper, on_plate, alone, steps, 1e-11, "cpu")
    u = done.state.displacement
    assert done.report.name == done.state.name == "release"
    assert not done.state.on_plate.any()
    assert not done.state.removed.any()
    assert float(free_stepper.internal_force().norm()) <= 1e-9 * scale
    assert np.abs(rotation_and_translation(mesh.points, u)).max() < 1e-12
    assert torch.equal(stepper.internal_force(), clamped)
    # Stress and displacement have changed by the same strain.
    moved = torch.from_numpy(u - on_plate)[torch.from_numpy(mesh.cells)].flatten(1)
    change = free_stepper.cell_stress() - stepper.cell_stress()
    expected = moved @ torch.from_numpy(build.brick.strain).T
    expected = expected @ torch.from_numpy(build.brick.elasticity)
    torch.testing.assert_close(change, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("plasticity", [False, True])
def test_a_single_layer_is_free_of_stress_with_the_exact_strain(plasticity):
    """Uniform inherent strain, sheared by the scan's angle, on any shape."""
    mask = wedge()
    mask[3:, :, 0] = True
    spacing = (1.0, 1.2, 0.5)
    result = released(
        mask, spacing, layer_height=2.5, scan_angle=30.0, plasticity=plasticity, islands="powder",
        tolerance=1e-9,
    )  # fmt: skip
    xx, yy, zz, xy, _, _ = Process(inherent_strain=STRAIN, scan_angle=30.0).layer_strain(0)
    gradient = np.array([[xx, xy / 2, 0], [xy / 2, yy, 0], [0, 0, zz]])
    expected = (result.points - result.points.mean(axis=0)) @ gradient
    expected -= rigid_part(result.points, expected)
    tolerance = 1e-5 if plasticity else 1e-7
    np.testing.assert_allclose(result.displacement, expected, atol=tolerance * 0.02)
    assert result.von_mises.max() <= tolerance * 200_000 * 0.004
    on_plate = result.displacement_on_plate
    assert on_plate is not None
    assert (on_plate[result.points[:, 2] == 0] == 0).all()


def rigid_part(points, u):
    tx, ty, tz, a, b, c = rotation_and_translation(points, u)
    return np.array([tx, ty, tz]) + np.cross([a, b, c], points - points.mean(axis=0))


def test_the_release_does_not_change_the_build():
    mask = wedge()
    result = released(mask, islands="powder")
    before = released(mask, islands="powder", release=False)
    assert before.displacement_on_plate is None
    assert result.displacement_on_plate is not None
    np.testing.assert_array_equal(result.displacement_on_plate, before.displacement)
    assert [s.name for s in result.report.steps] == [
        *(s.name for s in before.report.steps), "release",
    ]  # fmt: skip
    assert np.abs(rotation_and_translation(result.points, result.displacement)).max() < 1e-12
    # The release reduces the elastic energy.
    assert (result.stress**2).sum() < (before.stress**2).sum()


def test_two_layers_with_crossed_strain_bend_to_a_saddle():
    """Equal layers, strained by e along x and along y: curvatures of 3/2 e / t, up and down."""
    size, height, strain = 24, 1.0, -0.002
    result = released(
        np.ones((size, size, 4)),
        (1.0, 1.0, height / 4),
        tolerance=1e-8,
        layer_height=height / 2,
        inherent_strain=(strain, 0.0, 0.0),
        scan_rotation=90.0,
    )
    x, y, z = (result.points - result.points.mean(axis=0)).T
    inner = (np.abs(z) < 1e-9) & (np.abs(x) < size / 4) & (np.abs(y) < size / 4)
    x, y, w = x[inner], y[inner], result.displacement[inner, 2]
    xx, yy, xy = np.linalg.lstsq(
        np.stack([x * x / 2, y * y / 2, x * y, np.ones_like(x)], axis=1), w, rcond=None
    )[0][:3]
    expected = 1.5 * strain / height
    # The lower layer is shorter along x, so the ends in x bend down.
    assert xx == pytest.approx(expected, rel=0.05)
    assert yy == pytest.approx(-expected, rel=0.05)
    assert abs(xy) < 1e-3 * abs(expected)


def two_bodies():
    mask = np.zeros((7, 4, 4), dtype=bool)
    mask[:2, :3] = True
    mask[1, 2, 2:] = False
    mask[4:, 1:, :] = True
    mask[4, 1, 1:] = False
    return mask


def test_bodies_that_only_the_plate_connects_are_released_separately():
    """They distort like bodies that are built and aligned alone."""
    mask = two_bodies()
    both = released(mask, scan_rotation=67.0)
    for part in (slice(0, 3), slice(3, 7)):
        own = np.zeros_like(mask)
        own[part] = mask[part]
        alone = released(own, scan_rotation=67.0)
        nodes = [np.flatnonzero((both.points == p).all(axis=1)).item() for p in alone.points]
        scale = np.abs(alone.displacement).max()
        np.testing.assert_allclose(
            both.displacement[nodes], alone.displacement, rtol=0, atol=1e-6 * scale
        )
        np.testing.assert_allclose(
            both.stress[nodes], alone.stress, rtol=0, atol=1e-6 * np.abs(alone.stress).max()
        )


@pytest.mark.parametrize("plasticity", [False, True])
def test_bodies_that_only_powder_connects(plasticity):
    """An unsupported block of one layer has its full strain and no stress, the other has stress."""
    mask = np.zeros((5, 3, 4), dtype=bool)
    mask[:2] = True
    mask[3:, :, 2:] = True
    result = released(
        mask, islands="powder", layer_height=2.0, plasticity=plasticity, tolerance=1e-8
    )
    block = result.points[:, 0] > 2.5
    points, u = result.points[block], result.displacement[block]
    expected = (points - points.mean(axis=0)) * STRAIN
    np.testing.assert_allclose(u, expected, rtol=0, atol=1e-5 * 0.01)
    assert result.von_mises[block].max() < 1e-3
    assert result.von_mises[~block].max() > 50


@pytest.mark.parametrize("plasticity", [False, True])
def test_bodies_that_share_an_edge_or_a_corner(plasticity):
    """Their mechanisms have no energy and are removed."""
    mask = np.zeros((6, 6, 4), dtype=bool)
    mask[:2, :2] = mask[2:4, 2:4] = True
    mask[4:, 4:, :] = True
    mask[4:, 4:, 3] = False
    result = released(mask, plasticity=plasticity, tolerance=1e-8)
    on_plate = np.abs(result.displacement_on_plate).max()
    assert np.abs(result.displacement).max() < 3 * on_plate
    assert result.report.steps[-1].residual <= 1e-6
    # A common corner only: the upper block is supported by powder.
    mask = np.zeros((4, 4, 4), dtype=bool)
    mask[:2, :2, :2] = mask[2:, 2:, 2:] = True
    result = released(
        mask, islands="powder", layer_height=2.0, plasticity=plasticity, tolerance=1e-8
    )
    assert np.isfinite(result.displacement).all()
    assert result.von_mises[result.points[:, 2] > 2].max() < 1e-2


def test_the_plate_is_removed():
    """The free part's stress is the same with a plate whose stiffness is that of the clamp."""
    from lpbf.core.base_plate import BasePlate

    mask = np.ones((4, 3, 4))
    soft = Material("soft", 100.0, 0.3)
    free = released(mask, material=soft)
    plate = BasePlate(thickness=1.0, margin=0.0, youngs_modulus=1e7)
    plated = released(mask, material=soft, base_plate=plate)
    np.testing.assert_allclose(
        plated.displacement, free.displacement, atol=1e-3 * np.abs(free.displacement).max()
    )
