"""Fields of MED files."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_Array = NDArray[Any]
_Group = Any  # h5py's types do not know what a file holds
_WHOLE = "MED_NO_PROFILE_INTERNAL"

Step = tuple[int, int, float]
"""Numbers of time step and iteration, and time."""


@dataclass(frozen=True)
class Place:
    """Where values of a kind of support belong.

    Attributes:
        key: ``"node:"`` or ``"cell:"``.
        rows: The rows of the support among all nodes or cells.
    """

    key: str
    rows: slice


def field_steps(file: _Group) -> list[Step]:
    """Steps of the fields in order; empty if no field has several."""
    found = [set(map(_step, field.values())) for field in file.get("CHA", {}).values()]
    if all(len(steps) < 2 for steps in found):
        return []
    return sorted(set().union(*found))


class FieldReader:
    """Reader of the fields of one mesh.

    Args:
        file: The file.
        mesh: Name of the mesh.
        places: Place of each kind of support, such as ``"NOE"`` and ``"MAI.TE4"``.
        sizes: Number of all nodes and cells, by the key of a place.
        max_bytes: Limit of the size of all fields.

    Attributes:
        messages: What was left out or has no values.
    """

    def __init__(
        self,
        file: _Group,
        mesh: str,
        places: dict[str, Place],
        sizes: dict[str, int],
        max_bytes: int,
    ) -> None:
        self._file, self._mesh = file, mesh
        self._places, self._sizes = places, sizes
        self._left = max_bytes
        self.messages: list[str] = []

    def read(self, wanted: Step | None) -> dict[str, _Array]:
        """Fields by key, with NaN where they have no value.

        Args:
            wanted: The step; None if no field has several.

        Raises:
            ValueError: If the number of values does not fit, or the limit is exceeded.
        """
        fields: dict[str, _Array] = {}
        for name, field in self._file.get("CHA", {}).items():
            of_mesh = _text(field.attrs.get("MAI", self._mesh))
            chosen = [step for step in field.values() if wanted in (None, _step(step))]
            if of_mesh != self._mesh:
                self.messages.append(f"the field '{name}' of the mesh '{of_mesh}' is left out")
            elif not chosen:
                self.messages.append(f"the field '{name}' has no values at the chosen step")
            else:
                fields |= self._field(name, int(field.attrs["NCO"]), chosen[0])
        return fields

    def _field(self, name: str, columns: int, step: _Group) -> dict[str, _Array]:
        found: dict[str, _Array] = {}
        given: dict[str, _Array] = {}
        for support, content in step.items():
            place = self._places.get(support)
            points = {int(part.attrs.get("NGA", 1)) for part in content.values()}
            if place is None or points - {1}:
                where = "integration points" if place else f"'{support}'"
                self.messages.append(f"the values of '{name}' at {where} are left out")
                continue
            key, size = place.key + name, self._sizes[place.key]
            if key not in found:
                self._left -= 8 * columns * size
                if columns < 1 or self._left < 0:
                    raise ValueError(f"the field '{name}' of {columns} components is too large")
                found[key], given[key] = np.full((size, columns), np.nan), np.zeros(size, bool)
            for profile, part in content.items():
                rows = self._rows(profile, place.rows)
                values = part["CO"][()].reshape(-1)
                if len(values) != len(rows) * columns:
                    raise ValueError(
                        f"expected {len(rows)} rows of {columns} values of '{name}' on {support} "
                        f"(got {len(values)} values)"
                    )
                found[key][rows] = values.reshape(columns, -1).T
                given[key][rows] = True
        for key, there in given.items():
            missing = len(there) - int(there.sum())
            if missing:
                noun = "nodes" if key.startswith("node:") else "cells"
                text = f"'{name}' has no value on {missing} of {len(there)} {noun}: NaN there"
                self.messages.append(text)
        return {k: values[:, 0] if columns == 1 else values for k, values in found.items()}

    def _rows(self, profile: str, rows: slice) -> _Array:
        """Rows of all nodes or cells to which the values of a profile belong."""
        if profile == _WHOLE:
            return np.arange(rows.start, rows.stop)
        chosen = self._file[f"PROFILS/{profile}/PFL"][()].reshape(-1).astype(np.int64) - 1
        if chosen.size and not 0 <= chosen.min() <= chosen.max() < rows.stop - rows.start:
            raise ValueError(f"the profile '{profile}' refers to entries that do not exist")
        return rows.start + chosen


def _step(step: _Group) -> Step:
    if not {"NDT", "NOR", "PDT"} <= step.attrs.keys():
        raise ValueError("its fields are in an older version of MED; save it as version 3 or 4")
    return int(step.attrs["NDT"]), int(step.attrs["NOR"]), float(step.attrs["PDT"])


def _text(value: Any) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)
