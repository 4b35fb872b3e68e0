"""Equilibrium of a finished build with the reactions of the plate."""

import numpy as np
import pytest

from lpbf import BasePlate, HexMesh, Material, Process
from lpbf.mechanics.build import make_build
from lpbf.mechanics.build_steps import build_steps
from lpbf.mechanics.elastic_stepper import ElasticStepper
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.plastic_stepper import PlasticStepper
from lpbf.simulate.run_steps import run_steps

METAL = Material(
    "metal", youngs_modulus=110_000.0, poisson_ratio=0.34, yield_stress=300.0, hardening_modulus=1e3
)


def bracket():
    """A leg with a hole and an overhanging, lopsided head."""
    mask = np.zeros((6, 4, 7), dtype=bool)
    mask[1:3, :, :] = True
    mask[:, 1:, 5:] = True
    mask[1, 2, 2:4] = False
    return HexMesh.from_mask(mask, (1.0, 1.2, 0.8), origin=(-3.0, 4.0, 0.0))


def build_up(tolerance, **options):
    process = Process(
        METAL, inherent_strain=(-0.004, -0.001, -0.002), scan_rotation=67.0, **options
    )
    build = make_build(bracket(), process)
    equilibrium = Equilibrium(build, tolerance=tolerance)
    plastic = PlasticStepper(build, METAL, tolerance=tolerance)
    stepper = plastic if process.plasticity else ElasticStepper(build)
    steps = build_steps(build, None, expansion=None, ambient=25.0, device="cpu")
    run_steps(build, steps, stepper, equilibrium)
    return build, equilibrium, stepper


OPTIONS = [
    {},
    {"plasticity": True},
    {"base_plate": BasePlate(thickness=1.6, margin=2.0, youngs_modulus=70_000.0)},
    {"incompatible_modes": False},
]


@pytest.mark.parametrize("options", OPTIONS, ids=["elastic", "plastic", "base plate", "plain"])
@pytest.mark.parametrize("tolerance", [1e-5, 1e-9])
def test_reactions_at_the_plate(tolerance, options):
    """Their sum and their moments vanish, and so do the forces everywhere else.

    Each layer may leave ``tolerance`` of its own load unbalanced.
    """
    build, equilibrium, stepper = build_up(tolerance, **options)
    force = stepper.internal_force().numpy()
    free = equilibrium.free.numpy()
    clamped = ~free
    load = np.zeros((build.mesh.num_nodes, 3))
    local = (build.cell_strain @ build.brick.load.T).reshape(-1, 8, 3)
    for corner in range(8):
        np.add.at(load, build.mesh.cells[:, corner], local[:, corner])
    allowed = build.num_layers * tolerance * np.linalg.norm(load)
    assert np.linalg.norm(force[free]) < allowed
    reactions, points = force[clamped], build.mesh.points[clamped]
    assert np.abs(reactions).max() > 100 * allowed
    # A sum over n nodes is at most sqrt(n) times the norm.
    sums = allowed * np.sqrt(len(force))
    np.testing.assert_allclose(reactions.sum(axis=0), 0, atol=sums)
    arm = build.mesh.points - build.mesh.points.mean(axis=0)
    moments = np.cross(points - build.mesh.points.mean(axis=0), reactions).sum(axis=0)
    np.testing.assert_allclose(moments, 0, atol=sums * np.linalg.norm(arm, axis=1).max())


@pytest.mark.parametrize("options", OPTIONS, ids=["elastic", "plastic", "base plate", "plain"])
def test_sections_have_no_resultant(options):
    """The mean stress of the cells of a row has no resultant: zz, yz and xz sum to zero."""
    build, _, stepper = build_up(1e-10, **options)
    stress = stepper.cell_stress().numpy()
    row = build.mesh.cell_index[:, 2]
    for component in (2, 4, 5):
        sums = np.bincount(row, weights=stress[:, component])
        sizes = np.bincount(row, weights=np.abs(stress[:, component]))
        assert (np.abs(sums) < 1e-7 * sizes.max()).all()
        assert sizes.max() > 1.0
