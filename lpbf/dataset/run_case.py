"""One case of a data set: build the part, simulate it, write it."""

import hashlib
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from lpbf.dataset.case_file import write_case
from lpbf.dataset.cases import Case
from lpbf.dataset.settings import Settings
from lpbf.errors import PartError, PartWarning, SolverError
from lpbf.parts import procedural_part
from lpbf.result import Result
from lpbf.simulate import simulate
from lpbf.voxelize import voxelize

# A procedural case draws at most this many parts until one is accepted.
_ATTEMPTS = 20


@dataclass
class Outcome:
    """What became of a case.

    Attributes:
        case: Its name.
        rejected: Why each part was rejected before one was accepted, if any.
        accepted: Whether a file was written.
        warnings: Of the accepted part.
    """

    case: str
    rejected: list[str] = field(default_factory=list)
    accepted: bool = False
    warnings: list[str] = field(default_factory=list)


def run_case(case: Case, settings: Settings, out: Path) -> Outcome:
    """Builds, simulates and writes one case below ``out``.

    The reasons for rejected parts stand in the case's metadata too, so that they are not lost if
    the caller is.
    """
    outcome = Outcome(case.name)
    for attempt in range(_ATTEMPTS if isinstance(case.part, int) else 1):
        try:
            result, metadata = _simulate_case(case, settings, attempt)
        except (PartError, SolverError, FileNotFoundError) as error:
            outcome.rejected.append(str(error))
        else:
            write_case(out / case.file, result, {**metadata, "rejected": outcome.rejected})
            outcome.accepted, outcome.warnings = True, metadata["warnings"]
            break
    return outcome


def file_digest(path: Path) -> str:
    """SHA-256 of a file: tells a part file that was replaced."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _simulate_case(case: Case, settings: Settings, attempt: int) -> tuple[Result, dict[str, Any]]:
    if isinstance(case.part, int):
        part = procedural_part((settings.seed, case.part, attempt), size=settings.size)
        source = {"source": "procedural", "family": part.metadata["family"]}
    else:
        part = case.part
        source = {"source": part.name}
        if part.is_file():
            source["source_sha256"] = file_digest(part)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PartWarning)
        mesh = voxelize(part, settings.pitch, islands=settings.islands)
    if not settings.min_nodes <= mesh.num_nodes <= settings.max_nodes:
        raise PartError(
            f"{mesh.num_nodes:,} nodes are outside the limits of {settings.min_nodes:,} to "
            f"{settings.max_nodes:,}; change the pitch or the limits"
        )
    result = simulate(mesh, settings.process())
    if not (np.isfinite(result.displacement).all() and np.isfinite(result.stress).all()):
        raise SolverError("the solution is not finite")
    metadata = {
        "case_id": case.name,
        **source,
        "seed": settings.seed,
        "attempt": attempt,
        "num_nodes": mesh.num_nodes,
        "num_edges": mesh.edge_index.shape[1],
        "num_elements": mesh.num_cells,
        "pitch_mm": settings.pitch,
        "material": settings.material,
        "inherent_strain": settings.inherent_strain,
        "scan_rotation_deg": settings.scan_rotation,
        "max_displacement_mm": float(np.linalg.norm(result.displacement, axis=1).max()),
        "max_von_mises_mpa": float(result.von_mises.max()),
        "height_mm": float(mesh.points[:, 2].max()),
        "warnings": [str(w.message) for w in caught if issubclass(w.category, PartWarning)],
    }
    return result, metadata
