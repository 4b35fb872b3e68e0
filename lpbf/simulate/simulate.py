"""The layer-by-layer inherent-strain simulation of a part."""

import time

import numpy as np

from lpbf.mechanics.build import Build, make_build
from lpbf.mechanics.solve_cg import solve_cg
from lpbf.mechanics.solve_direct import direct_suits, solve_direct
from lpbf.mesh import HexMesh
from lpbf.process import Process
from lpbf.report import Report, peak_memory
from lpbf.result import Result


def simulate(mesh: HexMesh, process: Process | None = None, *, solver: str = "auto") -> Result:
    """Builds a part layer by layer and returns its distortion and residual stress.

    Each layer is added stress-free on the part as it has deformed so far, gets the inherent
    strain, and the part, clamped to the plate, finds its equilibrium (small strains, linear
    elasticity). Displacements count from the moment when a node's first layer is added.

    Args:
        mesh: The part.
        process: Material, layers and inherent strain; None for the defaults.
        solver: ``"direct"``, ``"cg"``, or ``"auto"`` for the direct one where the cross-sections
            are small enough for it to be the faster one.

    Raises:
        IslandError: If the mesh has voxels that nothing holds when their layer is built.
        SolverError: If the equilibrium of a layer is not found.
        ValueError: If the process does not fit the mesh, or the solver is unknown.
    """
    if solver not in ("auto", "direct", "cg"):
        raise ValueError(f"unknown solver '{solver}'; choose from ['auto', 'cg', 'direct']")
    process = process or Process()
    start = time.perf_counter()
    build = make_build(mesh, process)
    if solver == "auto":
        solver = "direct" if direct_suits(build) else "cg"
    total, born = solve_direct(build) if solver == "direct" else solve_cg(build)
    return Result(
        mesh=mesh,
        displacement=total,
        stress=_nodal_stress(build, total, born),
        temperature=np.full(mesh.num_nodes, process.temperature),
        report=Report(solver, time.perf_counter() - start, peak_memory()),
    )


def _nodal_stress(build: Build, total: np.ndarray, born: np.ndarray) -> np.ndarray:
    cells = build.mesh.cells
    # What the nodes of the layer below moved before a cell was added does not strain it.
    older = build.node_layer[cells] < build.cell_layer[:, None]
    since = total[cells] - np.where(older[:, :, None], born[cells], 0.0)
    strain = since.reshape(-1, 24) @ build.brick.strain.T - build.layer_strain[build.cell_layer]
    stress = strain @ build.brick.elasticity
    nodes = cells.ravel()
    owners = np.bincount(nodes)
    columns = [np.bincount(nodes, weights=np.repeat(column, 8)) for column in stress.T]
    return np.stack(columns, axis=1) / owners[:, None]
