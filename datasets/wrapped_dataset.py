"""Any data set of PyG data as a data set of fields."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.data.splits import split_names
from flare_mesh.datasets.field_dataset import FieldDataset
from flare_mesh.mesh import MeshData
from flare_mesh.mesh.mesh_storage import CELL_PREFIX, RESERVED


class WrappedDataset(FieldDataset):
    """A data set of PyG ``Data`` with ``pos``, ``y`` and optional ``x`` as a data set of fields.

    Of a case it takes ``pos`` [N, D], ``y`` [N, C_out], ``x`` [N, C_in], ``weight`` [N] (the
    quadrature weights), ``edge_index``, triangles ``face`` [3, F], or the cells of a
    :class:`~flare_mesh.MeshData`. ``y`` [N] and ``x`` [N] count as one channel; floating-point
    values become float32, and integers in ``x`` too. Channels are those of the first case.

    Args:
        dataset: A PyG data set, any other map-style data set of torch, or a list of ``Data``.
        targets: Channels of each field in ``y``, by name, in order; by default one field ``y``.
        inputs: Channels of each field in ``x``, by name, in order; by default one field ``x``.
        units: Unit of each field.
        split: Name of the split whose cases to take; None for all.
        fractions: Share of each split; by default 0.8 for ``train`` and 0.2 for ``test``. The
            cases are divided by a checksum of their numbers.
        name: Name of the data set in messages and in saved surrogates.

    Raises:
        ValueError: If the data set has no length or no case, a case lacks ``pos`` or ``y``, or the
            fields do not fit.
    """

    def __init__(
        self,
        dataset: Any,
        *,
        targets: Mapping[str, int] | None = None,
        inputs: Mapping[str, int] | None = None,
        units: Mapping[str, str] | None = None,
        split: str | None = None,
        fractions: Mapping[str, float] | None = None,
        name: str | None = None,
    ) -> None:
        self._name = type(dataset).__name__ if name is None else name
        self._wrapped = dataset
        if not hasattr(dataset, "__len__") or not hasattr(dataset, "__getitem__"):
            raise ValueError(
                f"{self._name}: expected a data set with a length and numbered cases (got "
                f"{type(dataset).__name__}); streams of cases cannot be divided and shuffled"
            )
        names = [str(number) for number in range(len(dataset))]
        if split is not None:
            chosen = set(split_names(names, split, fractions))
            names = [one for one in names if one in chosen]
        if not names:
            part = "" if split is None else f" in the split '{split}'"
            raise ValueError(
                f"{self._name}: expected at least one case{part} (got none of {len(dataset)}); "
                f"give more cases or other fractions"
            )
        self._numbers = [int(one) for one in names]
        first = self._case(self._numbers[0], None)
        self._columns = {
            "y": _fields("targets", "y", targets, first["y"], self._name),
            "x": _fields("inputs", "x", inputs, first.get("x"), self._name),
        }
        self.FIELDS = {**self._columns["x"], **self._columns["y"]}
        self.UNITS = dict(units or {})
        self._check_names()
        super().__init__(self._name, names, [*self._columns["x"]], [*self._columns["y"]])

    def recipe(self) -> CaseRecipe:
        return replace(super().recipe(), dataset=self._name)

    def read(self, index: int) -> MeshData:
        values = self._case(self._numbers[index], self._columns)
        data = values["data"]
        triangles = {} if data.face is None else {"triangle": data.face.T}
        case = MeshData(values["pos"], **triangles)
        if isinstance(data, MeshData):
            case.cell_index, case.cell_type = data.cell_index, data.cell_type
        for key in ("edge_index", "weight"):
            if isinstance(data.to_dict().get(key), Tensor):
                case[key] = data[key].float() if key == "weight" else data[key]
        for key, fields in self._columns.items():
            if fields:
                parts = values[key].split([*fields.values()], dim=1)
                for name, part in zip(fields, parts, strict=True):
                    case[name] = part
        return case

    def _case(self, number: int, columns: Mapping[str, Mapping[str, int]] | None) -> dict[str, Any]:
        """The checked ``pos``, ``y`` and ``x`` of a case, and the case itself as ``data``."""
        data = self._wrapped[number]
        place = f"{self._name}, case {number}"
        if not isinstance(data, Data):
            raise ValueError(
                f"{place}: expected torch_geometric.data.Data (got {type(data).__name__}); return "
                f"Data(pos=..., x=..., y=...)"
            )
        found: dict[str, Any] = {"data": data}
        for key in ("pos", "y", "x"):
            value = data.to_dict().get(key)
            if value is None and key == "x":
                if columns and columns["x"]:
                    raise ValueError(f"{place}: expected 'x' as in the first case (got none)")
                continue
            found[key] = value = _node_values(value, key, place, found.get("pos"))
            expected = columns and sum(columns.get(key, {}).values())
            if key != "pos" and expected is not None and value.shape[1] != expected:
                raise ValueError(
                    f"{place}: expected '{key}' with {expected} channels, as in the first case "
                    f"(got {value.shape[1]}); give all cases the same channels"
                )
        return found

    def _check_names(self) -> None:
        twice = [name for name in self._columns["x"] if name in self._columns["y"]]
        if twice:
            raise ValueError(
                f"{self._name}: expected different names of inputs and targets (got {twice} in "
                f"both); rename one"
            )
        for name in self.FIELDS:
            if name in RESERVED | {"weight", "case_id"} or f"{name}_".startswith(CELL_PREFIX):
                raise ValueError(f"{self._name}: the name '{name}' is reserved; choose another")
        unknown = [name for name in self.UNITS if name not in self.FIELDS]
        if unknown:
            raise ValueError(
                f"{self._name}: expected units of the fields {[*self.FIELDS]} (got units of "
                f"{unknown})"
            )


def wrap_dataset(dataset: Any, *, name: str, **options: Any) -> FieldDataset:
    """A data set of fields as it is, and any other data set as a :class:`WrappedDataset`.

    Args:
        dataset: The data set.
        name: Name of the data set in messages, if it is wrapped.
        options: Other options of :class:`WrappedDataset`.

    Raises:
        ValueError: If it cannot be wrapped, or a data set of fields is given options.
    """
    if not isinstance(dataset, FieldDataset):
        return WrappedDataset(dataset, name=name, **options)
    given = [name for name, value in options.items() if value is not None]
    if given:
        raise ValueError(
            f"{type(dataset).__name__}: has named fields already; leave out {', '.join(given)}"
        )
    return dataset


def _node_values(value: Any, key: str, place: str, pos: Tensor | None) -> Tensor:
    """A floating-point value of each node, [N, C] in float32."""
    got = list(value.shape) if isinstance(value, Tensor) else type(value).__name__
    if isinstance(value, Tensor) and value.dim() == 1 and key != "pos":
        value = value[:, None]
    rows = "N" if pos is None else str(len(pos))
    shaped = isinstance(value, Tensor) and value.dim() == 2 and len(value) > 0
    if not shaped or (pos is not None and len(value) != len(pos)):
        advice = "add it by the data set's transform"
        if isinstance(value, Tensor):
            advice = "a value of the whole case is no field at the nodes"
        shown = "none" if value is None else got
        raise ValueError(f"{place}: expected '{key}' of shape [{rows}, C] (got {shown}); {advice}")
    if not value.is_floating_point() and (key != "x" or value.is_complex()):
        raise ValueError(
            f"{place}: expected '{key}' of real numbers (got {value.dtype}); classes are no field"
        )
    return value.to(torch.float32)


def _fields(
    option: str, key: str, given: Mapping[str, int] | None, values: Tensor | None, place: str
) -> dict[str, int]:
    """Channels of the fields in ``values``, checked against its number of channels."""
    channels = 0 if values is None else values.shape[1]
    if given is None:
        return {key: channels} if channels else {}
    valid = isinstance(given, Mapping) and all(
        isinstance(size, int) and size > 0 for size in given.values()
    )
    if not valid or sum(given.values()) != channels:
        raise ValueError(
            f"{place}, {option}: expected names with their channels, {channels} in total as in "
            f"'{key}' (got {given}); such as {option}={{name: {channels}}}"
        )
    return {str(name): size for name, size in given.items()}
