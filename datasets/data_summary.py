"""What is in a data set: its cases, meshes and fields."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from flare_mesh.cases.case_statistics import CaseStatistics, FieldStatistics


@dataclass(frozen=True)
class FieldSummary:
    """A field of a data set.

    Attributes:
        name: Its name.
        place: ``"node"``, ``"cell"``, or ``"case"`` for a field of the whole case.
        channels: Number of channels in most cases.
        unit: Its unit; empty if unknown.
        in_all: Whether all cases that were read have it, with that number of channels.
        varies: Whether its values differ, within a case or between them.
        hint: Why it may be given rather than a result, such as few different values; else empty.
    """

    name: str
    place: str
    channels: int
    unit: str
    in_all: bool
    varies: bool
    hint: str = ""

    def __str__(self) -> str:
        channels = f"{self.channels} channel{'s' * (self.channels > 1)}"
        return f"{self.name} ({', '.join(filter(None, (self.place, channels, self.unit)))})"


@dataclass(frozen=True)
class DataSummary:
    """What is in a data set, from statistics of some of its cases.

    Attributes:
        place: Folder of the data set, for messages.
        num_cases: Number of cases.
        splits: Number of cases of each split; empty if the cases are not divided yet.
        case_names: Names of all cases.
        sampled: The cases that were read.
        training: Those of them that are training cases, on which scales and normalisers are based.
        fixed_mesh: Whether all that were read have the same mesh, with nodes at the same positions.
        fixed_fields: Names of the fields with the same values in all cases that were read.
        static_fields: Names of the fields that are constant over time in all time series that were
            read.
        units: Unit of each field, as far as the files have them.
    """

    place: str
    num_cases: int
    splits: dict[str, int]
    case_names: tuple[str, ...]
    sampled: tuple[CaseStatistics, ...]
    training: tuple[CaseStatistics, ...]
    fixed_mesh: bool
    fixed_fields: frozenset[str]
    static_fields: frozenset[str]
    units: dict[str, str]

    @property
    def num_nodes(self) -> tuple[int, int, int]:
        """Smallest, median and largest number of nodes."""
        nodes = sorted(case.num_nodes for case in self.sampled)
        return nodes[0], nodes[len(nodes) // 2], nodes[-1]

    @property
    def cells(self) -> tuple[str, ...]:
        """Types of the cells, the most frequent first."""
        total: Counter[str] = Counter()
        for case in self.sampled:
            total.update(case.cells)
        return tuple(name for name, _ in total.most_common())

    @property
    def kinds(self) -> dict[str, int]:
        """Number of cases of each kind of mesh."""
        return dict(Counter(case.kind for case in self.sampled).most_common())

    @property
    def kind(self) -> str:
        """Kind of all meshes; ``"points"`` if they differ."""
        return next(iter(self.kinds)) if len(self.kinds) == 1 else "points"

    @property
    def fields(self) -> dict[str, FieldSummary]:
        """All fields, by name."""
        names = dict.fromkeys(name for case in self.sampled for name in case.fields)
        return {name: self._field(name) for name in names}

    @property
    def sizes(self) -> dict[str, NDArray[np.float64]]:
        """Extents and measure of the training cases that were read, if positive in all."""
        if not self.training:
            return {}
        extents = np.stack([case.extents for case in self.training], axis=1)
        found = {f"extent {axis}": row for axis, row in zip("xyz", extents, strict=False)}
        found["measure"] = np.array([case.measure for case in self.training])
        return {name: values for name, values in found.items() if (values > 0).all()}

    def describe_meshes(self) -> str:
        """Nodes, cells and kind of the meshes, in words."""
        few, median, many = self.num_nodes
        nodes = f"{few:,} nodes" if few == many else f"{few:,} to {many:,} nodes, median {median:,}"
        kinds = ", ".join(f"{count} {kind}" for kind, count in self.kinds.items())
        kind = self.kind if len(self.kinds) == 1 else f"{self.kind}, since they differ ({kinds})"
        same = "the same mesh in all cases" if self.fixed_mesh else "each case has its own mesh"
        return f"meshes: {nodes}; {', '.join(self.cells) or 'no cells'}; kind: {kind}; {same}"

    def statistics(self, name: str) -> list[FieldStatistics]:
        """Statistics of a field in each case that was read and has it."""
        return [case.fields[name] for case in self.sampled if name in case.fields]

    def training_statistics(self, name: str) -> list[FieldStatistics]:
        """Statistics of a field in each training case that was read and has it."""
        return [case.fields[name] for case in self.training if name in case.fields]

    def _field(self, name: str) -> FieldSummary:
        found = self.statistics(name)
        channels = Counter(one.channels for one in found).most_common(1)[0][0]
        place = Counter(one.place for one in found).most_common(1)[0][0]
        alike = [one for one in found if one.channels == channels]
        values = [value for one in alike for value in sorted(one.extremes.items())]
        return FieldSummary(
            name,
            place,
            channels,
            self.units.get(name, ""),
            len(alike) == len(self.sampled),
            len({*values}) > len({label for label, _ in values}) or any(map(_varies, alike)),
            self._hint(name, alike),
        )

    def _hint(self, name: str, found: Sequence[FieldStatistics]) -> str:
        if name in self.static_fields:
            return "constant over time"
        levels = [one.levels for one in found]
        if not min(levels, default=0):
            return ""
        most = max(levels)
        return f"{most} different values" if most > 1 else "one value in each case"


def _varies(one: FieldStatistics) -> bool:
    labels = {label.partition(" ")[2] for label in one.extremes if label.startswith("largest ")}
    return any(
        one.extremes[f"largest {label}"] > one.extremes[f"smallest {label}"]
        for label in labels
        if f"smallest {label}" in one.extremes
    )
