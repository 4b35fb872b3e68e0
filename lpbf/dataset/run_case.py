"""One case of a data set: part, simulation, file."""

import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from flare_mesh.mesh import edges_of_cells
from lpbf.core.errors import IslandError, PartError, PartWarning, SolverError
from lpbf.core.grid_planes import align_planes
from lpbf.core.islands import treat_islands
from lpbf.core.part import MissingReaderError, part_name, read_part, unit_if_none
from lpbf.core.procedural_part import procedural_part
from lpbf.core.result import Result
from lpbf.core.voxelize import voxelize
from lpbf.dataset.case_file import CaseArrays, file_digest, write_case
from lpbf.dataset.cases import Case
from lpbf.dataset.orientations import ORIENTATIONS, Placement, draw_placement
from lpbf.dataset.outcome import Outcome, Rejection
from lpbf.dataset.settings import Settings
from lpbf.simulate import simulate

# Largest number of procedural parts drawn until one is accepted.
_ATTEMPTS = 20


class _RejectedError(Exception):
    """A part is rejected, with kind and reason as arguments."""


def run_case(case: Case, settings: Settings, out: Path) -> Outcome:
    """Make, simulate and write a case in the folder ``out``."""
    start = time.perf_counter()
    outcome = Outcome(case.name)
    for attempt in range(_ATTEMPTS if isinstance(case.part, int) else 1):
        try:
            result, metadata = _simulate_case(case, settings, attempt)
        except _RejectedError as error:
            outcome.rejected.append(Rejection(*error.args))
        except MissingReaderError:  # the fault of the installation, not of the part
            raise
        except (PartError, SolverError, FileNotFoundError) as error:
            kinds = {SolverError: "not converged", IslandError: "islands"}
            kind = kinds.get(type(error), "part")
            outcome.rejected.append(Rejection(kind, _portable(str(error), case)))
        except Exception as error:
            # Part files are of any origin; a procedural part, the disk or the memory is another
            # matter.
            if isinstance(case.part, int) or isinstance(error, OSError | MemoryError):
                error.add_note(f"in case {case.name}")
                raise
            reason = f"{case.source}: {type(error).__name__}: {error}".splitlines()[0]
            outcome.rejected.append(Rejection("error", _portable(reason, case)))
        else:
            outcome.entry = _write(out / case.file, result, metadata)
            break
    outcome.seconds = round(time.perf_counter() - start, 3)
    return outcome


def _write(path: Path, result: Result, metadata: dict[str, Any]) -> dict[str, Any]:
    """Write the voxels that the release leaves, so that no model learns values of removed ones."""
    nodes, share = result.remaining_nodes, result.support_share
    number = np.cumsum(nodes) - 1
    cells = number[result.cells[~result.removed]]
    left = CaseArrays(
        result.points[nodes],
        cells,
        result.temperature[nodes],
        result.displacement[nodes],
        result.von_mises[nodes],
    )
    edges = edges_of_cells({"hexahedron": cells}, int(nodes.sum()))
    counts = {
        "num_nodes": len(left.points),
        "num_edges": edges.shape[1],
        "num_elements": len(cells),
        "removed_fraction": 1.0 - len(cells) / len(result.cells),
    }
    share = None if share is None else share[nodes]
    plate = result.plate_temperature
    return write_case(path, left, edges, metadata | counts, share, plate)


def _portable(message: str, case: Case) -> str:
    """Replace the part's path in a message by its path in the folder of parts."""
    return message if isinstance(case.part, int) else message.replace(str(case.part), case.source)


def _simulate_case(case: Case, settings: Settings, attempt: int) -> tuple[Result, dict[str, Any]]:
    placement = draw_placement((settings.seed, case.key), case.variant, settings.scale)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", PartWarning)
        if isinstance(case.part, int):
            part = procedural_part((settings.seed, case.part, attempt), size=settings.size)
            source = {"source": "procedural", "family": part.metadata["family"]}
            if settings.aligned:
                part = align_planes(part, max(settings.spacing) / placement.scale)
        else:
            unit = unit_if_none(case.part, settings.unit)
            part = read_part(case.part, in_child=True, unit=unit)
            source = {"source": case.source, "source_sha256": file_digest(case.part)}
        whole = voxelize(
            part if placement == Placement() else placement.apply(part),
            settings.spacing,
            islands="powder",
            build_volume=settings.build_volume,
        )
        mesh = treat_islands(whole, settings.process.islands, part_name(part))
    filling = whole.filling
    reasons = [] if filling is None else filling.reasons(settings.max_volume_error)
    thinnest = None if filling is None else filling.thinnest
    if reasons:
        raise _RejectedError(
            "voxels",
            f"{' and '.join(reasons)}, over the limit of {100 * settings.max_volume_error:g} %; "
            f"use a finer pitch, or raise the limit",
        )
    dropped = 1.0 - mesh.num_cells / whole.num_cells
    if dropped > settings.max_dropped:
        raise _RejectedError(
            "islands",
            f"{100 * dropped:.0f} % of the part is unsupported when built and would be dropped, "
            f"over the limit of {100 * settings.max_dropped:g} %; rotate the part, support it by "
            f"powder, or raise the limit",
        )
    if not settings.min_nodes <= mesh.num_nodes <= settings.max_nodes:
        raise _RejectedError(
            "nodes",
            f"{mesh.num_nodes:,} nodes are outside the limits of {settings.min_nodes:,} to "
            f"{settings.max_nodes:,}; change the pitch or the limits",
        )
    with warnings.catch_warnings(record=True) as simulated:
        warnings.simplefilter("always", PartWarning)
        result = simulate(mesh, settings.process)
    caught += simulated
    fields = result.displacement, result.stress, result.temperature
    if not all(np.isfinite(values).all() for values in fields):
        raise _RejectedError("not finite", "the solution is not finite")
    left = result.remaining_nodes
    largest = float(np.linalg.norm(result.displacement[left], axis=1).max())
    limit = settings.max_displacement
    if limit is not None and largest > limit:
        raise _RejectedError(
            "displacement",
            f"the displacement of {largest:.4g} mm is over the limit of {limit:g} mm",
        )
    messages = [str(w.message) for w in caught if issubclass(w.category, PartWarning)]
    metadata = {
        "case_id": case.name,
        **source,
        "seed": settings.seed,
        "attempt": attempt,
        "variant": case.variant,
        "rotation": ORIENTATIONS[placement.orientation].tolist(),
        "scale": placement.scale,
        "extents_mm": [float(edge) for edge in part.extents],
        "dropped_fraction": dropped,
        "volume_ratio": None if filling is None else filling.volume,
        "thinnest_wall_mm": None if thinnest is None else thinnest.thickness,
        "pitch_mm": list(settings.spacing),
        "aspect_ratio": settings.aspect_ratio,
        "process": settings.process.to_dict(),
        "max_displacement_mm": largest,
        "max_von_mises_mpa": float(result.von_mises[left].max()),
        "height_mm": float(mesh.points[:, 2].max()),
        "warnings": [_portable(message, case) for message in messages],
    }
    return result, metadata
