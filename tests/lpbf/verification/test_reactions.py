"""The plate holds a build in balance with itself."""

import numpy as np
import pytest
import torch

from lpbf import HexMesh, Material, Process
from lpbf.mechanics.build import make_build
from lpbf.mechanics.equilibrium import Equilibrium

STEEL = Material("steel", youngs_modulus=200_000.0, poisson_ratio=0.3)


def bracket():
    """A leg with a hole and an overhanging, lopsided head."""
    mask = np.zeros((6, 4, 7), dtype=bool)
    mask[1:3, :, :] = True
    mask[:, 1:, 5:] = True
    mask[1, 2, 2:4] = False
    return HexMesh.from_mask(mask, (1.0, 1.2, 0.8), origin=(-3.0, 4.0, 0.0))


@pytest.mark.parametrize("tolerance", [1e-5, 1e-10])
def test_sum_of_the_reactions_and_of_their_moments(tolerance):
    mesh = bracket()
    process = Process(STEEL, inherent_strain=(-0.004, -0.001, -0.002), scan_rotation=67.0)
    build = make_build(mesh, process)
    equilibrium = Equilibrium(build, tolerance=tolerance, max_iterations=20_000)
    plate = mesh.points[:, 2] == 0
    reactions, allowed = np.zeros((mesh.num_nodes, 3)), 0.0
    for layer in range(build.num_layers):
        equilibrium.add_layer(layer)
        newest = build.cells_of(layer)
        load = np.zeros((equilibrium.size, 3))
        local = (build.brick.load @ build.layer_strain[layer]).reshape(8, 3)
        for corner in range(8):
            np.add.at(load, mesh.cells[newest, corner], local[corner])
        force = torch.from_numpy(load)
        u = equilibrium.solve(force, name=f"layer {layer}").u
        step = (equilibrium.apply(u) - force).numpy()
        held = plate[: equilibrium.size]
        reactions[: equilibrium.size][held] += step[held]
        # What the solver may leave out of balance at the free nodes is missing at the plate.
        allowed += tolerance * float(np.linalg.norm(load)) * np.sqrt(equilibrium.size)
    assert np.abs(reactions).sum() > 1e4 * allowed or tolerance > 1e-8
    assert (np.abs(reactions.sum(axis=0)) < allowed).all()
    center = mesh.points.mean(axis=0)
    arm = np.linalg.norm(mesh.points - center, axis=1).max()
    moment = np.cross(mesh.points - center, reactions).sum(axis=0)
    assert (np.abs(moment) < allowed * arm * 2).all()
