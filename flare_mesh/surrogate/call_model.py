"""Calls of a model with what it needs of a mesh, in chunks or over processes."""

from typing import Any

from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.models import FieldModel


def call_model(
    model: FieldModel,
    features: Tensor | None,
    pos: Tensor,
    data: Data,
    *,
    chunk_size: int | None,
    group: Any,
    **history: Any,
) -> Any:
    """Evaluate a model on normalised features and coordinates of meshes, [N, out_channels].

    Args:
        model: The model.
        features: Normalised x [N, in_channels], or None.
        pos: Normalised coordinates [N, pos_dim].
        data: The meshes, with the rest of what the model takes.
        chunk_size: Nodes of a chunk; None for all at once.
        group: Process group over which the nodes are spread, or None.
        history: Arguments of a model with history: ``series``, ``state``, ``return_state``.

    Raises:
        ValueError: If the model cannot evaluate chunks or spread its nodes.
    """
    more = history
    if model.can_stream:
        more["chunk_size"] = chunk_size
    elif chunk_size is not None:
        raise ValueError(
            f"{type(model).__name__}: cannot evaluate its nodes in chunks (got chunk_size="
            f"{chunk_size}); leave it out, or train a model that can: 'flare' with FLARE's mixer "
            f"and a pointwise encoder, 'upt' or 'ab_upt'"
        )
    if model.can_spread:
        more["group"] = group
    elif group is not None:
        raise ValueError(
            f"{type(model).__name__}: cannot spread its nodes over processes (got a group); leave "
            f"it out, or train a model that can: 'flare' with FLARE's mixer and a pointwise "
            f"encoder, and without history"
        )
    return model(
        features,
        pos,
        data.batch,
        # Beside a batch vector, the offsets may be out of date.
        ptr=data.ptr if group is None and "batch" not in data and "ptr" in data else None,
        weight=data.weight if "weight" in data else None,
        edge_index=data.edge_index if model.uses_edges else None,
        batch_size=data.num_graphs if "batch" in data else None,
        **more,
    )
