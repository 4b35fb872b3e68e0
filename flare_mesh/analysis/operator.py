"""Spectra and attention maps of the blocks of a trained operator."""

from collections.abc import Iterator
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from flare_mesh.analysis.spectrum import AttentionMaps, maps_of, spectrum_of
from flare_mesh.models.flare_operator import FLAREOperator
from flare_mesh.models.nodes import Nodes, read_nodes
from flare_mesh.nn import FLAREBlock
from flare_mesh.ops import checks


@torch.no_grad()
def operator_spectra(
    model: FLAREOperator,
    x: Any,
    pos: Tensor | None = None,
    batch: Tensor | None = None,
    *,
    ptr: Tensor | None = None,
    weight: Tensor | None = None,
    edge_index: Tensor | None = None,
    batch_size: int | None = None,
) -> Tensor:
    """Eigenvalues of the mixing matrices of all blocks and heads for given nodes.

    :func:`~flare_mesh.analysis.mixing_spectrum` of the queries and keys in the model's forward
    pass: the spectra of the attention without its output projection and the residual. The cost is
    a forward pass and the spectra.

    Takes the model, an operator with ``decode="shared"`` and without ``latent_blocks``, and the
    arguments of :meth:`FLAREOperator.forward`.

    Returns:
        [num_layers * passes, B, H, M] in float64, descending;
        :func:`~flare_mesh.analysis.effective_rank` gives the ranks [num_layers * passes, B, H].

    Raises:
        ValueError: If the input does not fit, the model is not such an operator, or its keys are
            not finite.
    """
    blocks = _blocks(model, "operator_spectra")
    nodes = read_nodes(model, x, pos, batch, ptr, weight, edge_index, batch_size)
    graphs = nodes.graphs.layout.num_graphs
    shape = (len(blocks), graphs, model.config["heads"], model.config["num_latents"])
    spectra = nodes.pos.new_zeros(shape, dtype=torch.float64)
    for layer, (query, key, scale) in enumerate(_queries_and_keys(model, blocks, nodes)):
        spectra[layer] = spectrum_of(query, key, nodes.graphs, scale)
    return spectra


@torch.no_grad()
def operator_maps(
    model: FLAREOperator,
    x: Any,
    pos: Tensor | None = None,
    batch: Tensor | None = None,
    *,
    block: int,
    ptr: Tensor | None = None,
    weight: Tensor | None = None,
    edge_index: Tensor | None = None,
    batch_size: int | None = None,
) -> list[AttentionMaps]:
    """Attention maps of one block for given nodes, see :func:`~flare_mesh.analysis.attention_maps`.

    Takes the arguments of :func:`operator_spectra`, and the index of the ``block``; -1 is the
    last.

    Returns:
        Maps of each graph.

    Raises:
        ValueError: As :func:`operator_spectra`, or if there is no such block.
    """
    blocks = _blocks(model, "operator_maps")
    if not -len(blocks) <= block < len(blocks):
        raise ValueError(
            f"operator_maps: expected 'block' among {len(blocks)} blocks (got {block})"
        )
    nodes = read_nodes(model, x, pos, batch, ptr, weight, edge_index, batch_size)
    number = block % len(blocks)
    query, key, scale = next(islice(_queries_and_keys(model, blocks, nodes), number, None))
    return maps_of(query, key, nodes.graphs, scale)


def _blocks(model: FLAREOperator, name: str) -> list[FLAREBlock]:
    """The blocks of an operator, if their mixing matrices have this form."""
    if not isinstance(model, FLAREOperator):
        raise ValueError(f"{name}: expected a FLAREOperator (got {type(model).__name__})")
    model.check_latents(name)
    blocks = model.block_sequence
    if any(len(block.attention.latent_blocks) for block in blocks):
        raise ValueError(
            f"{name}: expected an operator without latent_blocks (got "
            f"{model.config['latent_blocks']}), which mix the latents nonlinearly"
        )
    if any(block.attention.decode != "shared" for block in blocks):
        raise ValueError(
            f"{name}: expected an operator with decode='shared' (got 'encoded', where the mixing "
            "matrix has neither these maps nor this spectrum)"
        )
    return blocks


def _queries_and_keys(
    model: FLAREOperator, blocks: list[FLAREBlock], nodes: Nodes
) -> Iterator[tuple[Tensor, Tensor, float]]:
    """Queries [B, H, M, D], keys [N, H, D] and scale of each block in a forward pass."""
    h = model.embed_nodes(nodes)
    for number, block in enumerate(blocks):
        attention, n = block.attention, block.norm1(h)
        key = attention.keys(n)
        checks.check_finite(**{f"keys of block {number}": key})
        yield attention.latent_queries(n, nodes.graphs), key, attention.scale
        h = block.mix(h, nodes.graphs)
