"""State of an operator after the steps of a series, and its evaluation with that state."""

from typing import TYPE_CHECKING, Any, NamedTuple, Self

import torch
from torch import Tensor

from flare_mesh.models.nodes import Nodes
from flare_mesh.models.streaming import start_chunks
from flare_mesh.nn.latent_memory import LatentState
from flare_mesh.nn.series import Series
from flare_mesh.nn.streaming import encode_in_chunks, update_in_chunks
from flare_mesh.ops import checks
from flare_mesh.ops.precision import sum_dtype

if TYPE_CHECKING:
    from flare_mesh.models.flare_operator import FLAREOperator


class HistoryState(NamedTuple):
    """What a :class:`~flare_mesh.FLAREOperator` with ``history`` keeps of the steps so far.

    Two tensors, whose size does not grow with the steps. Gradients pass through them.

    Attributes:
        logsumexp: Log-sum-exps of the latents of each block, [L, B, H, M] for B series, in float32
            (float64 in a model of that type).
        latent: Latents of each block, [L, B, H, M, D].
    """

    logsumexp: Tensor
    latent: Tensor

    def detach(self) -> Self:
        """The state without its gradient."""
        return type(self)(*(tensor.detach() for tensor in self))

    def blocks(self) -> list[LatentState]:
        """The states of the blocks."""
        return [LatentState(*pair) for pair in zip(*self, strict=True)]


def evaluate_steps(
    model: "FLAREOperator",
    nodes: Nodes,
    series: Series,
    state: HistoryState | None,
    chunk_size: int | None,
) -> tuple[Tensor, HistoryState]:
    """The field [N, out_channels] at checked nodes of steps, and the state after the last ones."""
    blocks = model.block_sequence
    before = [None] * len(blocks) if state is None else _checked(model, nodes, series, state)
    after: list[LatentState] = []
    if chunk_size is None:
        h = model.embed_nodes(nodes)
        for block, known in zip(blocks, before, strict=True):
            h, new = model.run_block(block.mix_steps, h, nodes.graphs, series, known)
            after.append(new)
        out = model.head(model.norm(h))
    else:
        h, chunks = start_chunks(model, nodes, chunk_size)
        for block, known in zip(blocks, before, strict=True):

            def remember(latent: Tensor, logsumexp: Tensor, block=block, known=known) -> Tensor:
                memory: Any = block.attention.memory
                latent, new = memory(latent, logsumexp, series, known)
                after.append(new)
                return latent

            latents = encode_in_chunks(block, h, chunks, remember)
            update_in_chunks(block, h, latents, chunks)
        out = torch.cat([model.head(model.norm(h[part])) for part, _ in chunks])
    return out, HistoryState(*(torch.stack([*one]) for one in zip(*after, strict=True)))


def _checked(
    model: "FLAREOperator", nodes: Nodes, series: Series, state: HistoryState
) -> list[LatentState]:
    if not torch.compiler.is_compiling():
        if not isinstance(state, HistoryState):
            checks.fail(
                "'state'", "to be the HistoryState that return_state=True returns", type(state)
            )
        options = model.config
        heads, count = options["heads"], len(model.block_sequence)
        shape = [count, len(series.length), heads, options["num_latents"]]
        shapes = shape, [*shape, options["hidden_channels"] // heads]
        dtype, device = sum_dtype(next(model.parameters())), nodes.pos.device
        for name, got, like in zip(HistoryState._fields, state, shapes, strict=True):
            if list(got.shape) != like or got.dtype != dtype or got.device != device:
                checks.fail(
                    f"'state.{name}'",
                    f"{dtype} of shape {like} on {device}",
                    f"{got.dtype} {list(got.shape)} on {got.device}",
                )
    return state.blocks()
