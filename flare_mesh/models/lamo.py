"""LaMO, a baseline of FLARE."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from torch import nn

from flare_mesh.models.slice_model import SliceModel
from flare_mesh.nn.bimamba2 import BiMamba2
from flare_mesh.nn.grid import check_grid_shape
from flare_mesh.nn.hydra import Hydra
from flare_mesh.nn.lamo_attention import LaMOAttention
from flare_mesh.nn.option_checks import check_choice
from flare_mesh.nn.slicing import Slicing

_MIXERS: Mapping[str, Callable[..., nn.Module]] = {"hydra": Hydra, "bimamba2": BiMamba2}


class LaMO(SliceModel):
    r"""Latent state-space model: slices mixed as a sequence (arXiv 2505.19105).

    The nodes are averaged into G slices as in
    :class:`~flare_mesh.models.Transolver`, and the sequence of slices is mixed by a bidirectional
    state-space layer; see :class:`~flare_mesh.nn.lamo_attention.LaMOAttention` for the equations.
    It costs O(N C (C + G)). The default is the published model for Elasticity: one set of
    projections to slices for all layers, applied to each layer's own input. The authors' model
    ``unshared`` has ``shared_slices=False`` and ``expand=1``.

    As in the authors' code, features are concatenated to the coordinates, a learned vector is added
    to the embedding of every node, and linear weights are from a truncated N(0, 0.02). Shared
    projections to slices keep torch's initial weights, orthogonal ones for the slices. Departures:
    plain PyTorch in place of the kernels of mamba_ssm and causal_conv1d; the temperature of the
    slices stays within 0.1 and 5, which the authors do on grids only; no grid of reference points,
    whose range fits one data set only; ragged batches; weights of the
    nodes.

    Sizes and options without an entry are as in :class:`~flare_mesh.FLAREOperator`.

    Args:
        num_slices: Slices G of each head, the length of the sequence.
        shared_slices: Whether all layers have the same projections to slices.
        sequence_mixer: ``"hydra"`` (:class:`~flare_mesh.nn.hydra.Hydra`) or ``"bimamba2"``
            (:class:`~flare_mesh.nn.bimamba2.BiMamba2`, which the authors use on some grids).
        expand: Width of the mixer over C.
        state_size: Numbers of the mixer's state for each of its channels.
        mlp_ratio: Width of the blocks' hidden layers over C.
        grid_shape: Nodes along each axis of a regular grid, such as ``[85, 85]``; all graphs must
            have its nodes in row-major order. None for any mesh or point cloud.
            With it, convolutions project the nodes, and the result depends on their order.
        time_channel: Channel of x that is the time of a case, embedded by
            :class:`~flare_mesh.nn.time_embedding.TimeEmbedding`, such as 1 for the published
            Plasticity (die, time). None where x has no time.

    Shapes:
        As :meth:`FieldModel.forward`. ``weight`` weighs the nodes in the averages of the slices;
        only its ratios within a graph matter.

    Raises:
        ValueError: If an option is unknown, a size does not fit, or a graph is no grid of
            ``grid_shape``.
    """

    NAME = "lamo"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 128,
        num_layers: int = 8,
        heads: int = 8,
        num_slices: int = 64,
        shared_slices: bool = True,
        sequence_mixer: str = "hydra",
        expand: int = 2,
        state_size: int = 64,
        mlp_ratio: float = 1.0,
        grid_shape: Sequence[int] | None = None,
        time_channel: int | None = None,
        pos_dim: int = 3,
        checkpointing: bool = False,
    ) -> None:
        grid_shape = check_grid_shape(self, grid_shape)
        options = locals()
        check_choice(self, list(_MIXERS), sequence_mixer=sequence_mixer)
        slicing = partial(Slicing, hidden_channels, heads, num_slices, grid_shape)

        def attention() -> LaMOAttention:
            mixer = _MIXERS[sequence_mixer](hidden_channels, expand=expand, state_size=state_size)
            return LaMOAttention(hidden_channels, mixer, None if shared_slices else slicing())

        super().__init__(attention, options, slicing if shared_slices else None)
