"""Fixtures of the verification: a finished part under any loads, and stored references."""

from pathlib import Path

import numpy as np
import pytest
import torch

from lpbf import HexMesh, Material, Process
from lpbf.mechanics.build import make_build
from lpbf.mechanics.equilibrium import Equilibrium

STEEL = Material("steel", youngs_modulus=200_000.0, poisson_ratio=0.3)


class Part:
    """A finished part, clamped at z = 0, under any forces and eigenstrains."""

    def __init__(self, mesh, *, material=STEEL, tolerance=1e-11, **process):
        self.mesh, self.material = mesh, material
        self.build = make_build(mesh, Process(material=material, **process))
        self.equilibrium = Equilibrium(self.build, tolerance=tolerance, max_iterations=20_000)
        for layer in range(self.build.num_layers):
            self.equilibrium.activate_layer(layer)

    def load_of(self, eigenstrain):
        """Nodal forces [N, 3] of eigenstrains [E, 6] of the cells."""
        force = np.zeros((self.mesh.num_nodes, 3))
        values = (eigenstrain @ self.build.brick.load.T).reshape(-1, 8, 3)
        for corner in range(8):
            np.add.at(force, self.mesh.cells[:, corner], values[:, corner])
        return force

    def apply(self, u):
        return self.equilibrium.apply(torch.from_numpy(u)).numpy()

    def solve(self, force):
        return self.equilibrium.solve(torch.from_numpy(force)).u.numpy()


@pytest.fixture
def finished():
    return Part


@pytest.fixture
def reference():
    """Open a stored result of CalculiX (``benchmarks/lpbf_calculix.py``)."""

    def read(name):
        with np.load(Path(__file__).parent / "data" / f"{name}.npz") as file:
            case = {key: file[key] for key in file.files}
        mesh = HexMesh.from_mask(case["mask"], tuple(case["spacing"].tolist()))
        return mesh, case

    return read


@pytest.fixture
def mean_at_nodes():
    """Mean over the cells around each node of cell values [E, k]."""

    def average(mesh, values):
        total = np.zeros((mesh.num_nodes, values.shape[1]))
        count = np.zeros((mesh.num_nodes, 1))
        for corner in range(8):
            np.add.at(total, mesh.cells[:, corner], values)
            np.add.at(count, mesh.cells[:, corner], 1.0)
        return total / count

    return average
