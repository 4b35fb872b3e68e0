"""The cut from the plate."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage

from lpbf.mechanics.build import Build
from lpbf.mechanics.equilibrium import Equilibrium
from lpbf.mechanics.rigid_motions import rigid_motions
from lpbf.mechanics.steps import Step, Stepper
from lpbf.mesh import HexMesh
from lpbf.report import StepReport


def release(
    stepper: Stepper,
    displacement: NDArray[np.float64],
    build: Build,
    tolerance: float,
    device: str | torch.device,
) -> tuple[NDArray[np.float64], StepReport]:
    """Cuts the part free: the plate's forces vanish and it springs back.

    The displacement of the free part is told as one that was scanned and laid over its CAD model:
    without the translation and rotation that fit it best (least squares over the nodes). What
    falls apart when it is cut is laid over it piece by piece.

    Args:
        stepper: With the state of the part's cells; it is changed to that of the free part.
        displacement: On the plate, [N, 3], mm.
        build: The part alone.
        tolerance: Of the equilibrium.
        device: Where it is computed.

    Raises:
        SolverError: If the equilibrium is not found.
    """
    equilibrium = Equilibrium(build, clamped=False, device=device, tolerance=tolerance)
    equilibrium.add_layer(0)
    zero = torch.zeros(build.mesh.num_cells, 6, dtype=torch.float64, device=device)
    step = Step(None, "release", zero, in_balance=False)
    increment, report = stepper.solve(step, equilibrium, None)
    total = torch.from_numpy(displacement).to(increment) + increment
    points = torch.from_numpy(build.mesh.points).to(increment)
    for nodes in _pieces(build.mesh):
        own = torch.from_numpy(nodes).to(device)
        motions = rigid_motions(points[own], equilibrium.free[own])
        flat = total[own].T.flatten()
        total[own] -= (motions @ (motions.T @ flat)).view(3, -1).T
    return total.cpu().numpy(), report


def _pieces(mesh: HexMesh) -> list[NDArray[np.int64]]:
    """Nodes of each connected piece."""
    touching = np.ones((3, 3, 3))  # by a corner at least
    labels, _ = ndimage.label(mesh.mask, touching)  # pyright: ignore[reportGeneralTypeIssues]
    piece = np.zeros(mesh.num_nodes, dtype=np.int64)
    piece[mesh.cells] = labels[tuple(mesh.cell_index.T)][:, None]
    order = np.argsort(piece, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(piece[order])) + 1)
