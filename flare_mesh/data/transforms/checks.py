"""Checks of the data that transforms get."""

from collections.abc import Iterable, Mapping, Sequence

from torch import Tensor
from torch_geometric.data import Data

AXES = "xyz"


def check_single(data: Data, name: str) -> None:
    """Refuse a batch.

    Raises:
        ValueError: If the data has a ``batch``.
    """
    if "batch" in data:
        raise ValueError(f"{name}: expected a single mesh; apply it before batching")


def positions(data: Data, name: str, dims: Sequence[int] = (2, 3)) -> Tensor:
    """The positions [N, d].

    Raises:
        ValueError: If they are missing, or d is not one of ``dims``.
    """
    pos = data.pos
    if not isinstance(pos, Tensor) or pos.dim() != 2 or pos.shape[1] not in dims:
        wanted = " or ".join(f"[N, {dim}]" for dim in dims)
        got = list(pos.shape) if isinstance(pos, Tensor) else "none"
        raise ValueError(f"{name}: expected 'pos' of shape {wanted} (got {got})")
    return pos


def node_field(data: Data, field: str, name: str) -> Tensor:
    """A real node field.

    Raises:
        ValueError: If the data has no such field.
    """
    values = data.to_dict().get(field)
    if (
        not isinstance(values, Tensor)
        or not values.dim()
        or not values.is_floating_point()
        or len(values) != data.num_nodes
    ):
        got = "none"
        if values is not None:
            tensor = isinstance(values, Tensor)
            got = f"{list(values.shape)} {values.dtype}" if tensor else type(values).__name__
        raise ValueError(
            f"{name}: expected '{field}' as floating-point values, one row for each of "
            f"{data.num_nodes} nodes (got {got})"
        )
    return values


def optional_weight(data: Data, name: str) -> Tensor | None:
    """The quadrature weights ``weight`` [N], or None if the data has none.

    Raises:
        ValueError: If they have another shape, one is negative or not finite, or all are 0.
    """
    if "weight" not in data:
        return None
    weight = node_field(data, "weight", name)
    if weight.dim() != 1:
        raise ValueError(f"{name}: expected 'weight' of shape [N] (got {list(weight.shape)})")
    if not bool(((weight >= 0) & weight.isfinite()).all()) or not bool(weight.any()):
        raise ValueError(f"{name}: expected 'weight' to be finite, non-negative and not all zero")
    return weight


def first_columns(
    columns: Mapping[str, Iterable[int]] | None, name: str
) -> dict[str, tuple[int, ...]]:
    """First columns by field, after a check.

    Raises:
        ValueError: If a column is negative, or the argument is not a mapping.
    """
    if columns is None:
        return {}
    if not isinstance(columns, Mapping):
        raise ValueError(
            f"{name}: expected first columns by field, as {{'y': (0,)}} (got {columns!r})"
        )
    chosen = {field: tuple(firsts) for field, firsts in columns.items()}
    if any(first < 0 for firsts in chosen.values() for first in firsts):
        raise ValueError(f"{name}: expected columns >= 0 (got {chosen})")
    return chosen
