"""How the meshes were read that a model was trained on."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Self

_ALLOW = ("duplicate_nodes", "unused_nodes")


@dataclass(frozen=True)
class MeshReading:
    """What a prediction must know to read a mesh file as the training cases were read.

    A surrogate keeps it in its ``info``, under ``"reading"``.

    Attributes:
        dataset: Name of the data set, empty if it is not known.
        inputs: Channels of each field of x, before the surrogate's ``features``.
        on: ``"nodes"`` or ``"cells"``; this and what follows as in
            :class:`~flare_mesh.datasets.MeshFolder`.
        edges: Whether cases have ``edge_index``.
        weights: Whether cases have ``weight``.
        name_pattern: Numbers in the names of cases.
        table: CSV file of such numbers, below the folder of the cases unless absolute.
        window: Steps in and out of a time series.
        allow: Faults of meshes to let pass.
    """

    dataset: str = ""
    inputs: Mapping[str, int] = field(default_factory=dict)
    on: str = "nodes"
    edges: bool = False
    weights: bool = False
    name_pattern: str | None = None
    table: str | None = None
    window: tuple[int, int] | None = None
    allow: tuple[str, ...] = _ALLOW

    @classmethod
    def of_dataset(
        cls,
        name: str,
        options: Mapping[str, Any],
        inputs: Mapping[str, int],
        window: tuple[int, int] | None,
    ) -> Self:
        """The reading of a data set.

        Args:
            name: Its name in the registry.
            options: Options that it was made with.
            inputs: Channels of each field in x.
            window: Steps in and out of a time series, as they are in its cases.
        """
        if name != "mesh_folder":
            return cls(name, dict(inputs), window=window)
        table, allow = options.get("table"), options.get("allow", _ALLOW)
        return cls(
            name,
            dict(inputs),
            on=options.get("on", "nodes"),
            edges=bool(options.get("edges", False)),
            weights=bool(options.get("weights", False)),
            name_pattern=options.get("name_pattern"),
            table=None if table is None else str(table),
            window=window,
            allow=(allow,) if isinstance(allow, str) else tuple(allow),
        )

    @classmethod
    def of_info(cls, info: Mapping[str, Any], inputs: Mapping[str, int]) -> Self:
        """The reading that a surrogate's ``info`` tells of; plain mesh files where it tells none.

        Args:
            info: Of the surrogate.
            inputs: The surrogate's, where ``info`` tells of none.

        Raises:
            ValueError: If the information is damaged.
        """
        try:
            # The settings of generated parts have a pitch.
            dataset = "lpbf" if "pitch" in info else ""
            known = {"dataset": dataset, "inputs": inputs, **info.get("reading", {})}
            window, allow = known.pop("window", None), known.pop("allow", _ALLOW)
            if window is not None:
                first, last = map(int, window)
                window = first, last
            found = cls(**known, window=window, allow=tuple(allow))
            sizes = {str(key): int(size) for key, size in found.inputs.items()}
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(f"the surrogate's info 'reading' is damaged ({error})") from error
        if found.on not in ("nodes", "cells") or min([1, *(window or ()), *sizes.values()]) < 1:
            raise ValueError(f"the surrogate's info 'reading' is damaged (got {known})")
        return found

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        values = asdict(self)
        values["window"] = None if self.window is None else list(self.window)
        return {**values, "allow": list(self.allow)}
