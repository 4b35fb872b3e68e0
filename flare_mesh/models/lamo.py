"""LaMO, a baseline of FLARE."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from torch import Tensor, nn

from flare_mesh.models.field_model import FieldModel
from flare_mesh.models.nodes import Nodes
from flare_mesh.models.slice_model import SliceModel
from flare_mesh.nn.bimamba2 import BiMamba2
from flare_mesh.nn.cross_scan import CrossScan
from flare_mesh.nn.graphs import Graphs
from flare_mesh.nn.grid import check_grid_shape, check_grids
from flare_mesh.nn.hydra import Hydra
from flare_mesh.nn.lamo_attention import LaMOAttention
from flare_mesh.nn.mixing_block import MixingBlock
from flare_mesh.nn.option_checks import check_choice
from flare_mesh.nn.patches import Patches
from flare_mesh.nn.slicing import Slicing
from flare_mesh.ops.layout import equal_layout

_MIXERS: Mapping[str, Callable[..., nn.Module]] = {"hydra": Hydra, "bimamba2": BiMamba2}

_OF_SLICES = ("heads", "num_slices", "shared_slices", "sequence_mixer", "time_channel")


class LaMO(SliceModel):
    r"""Latent state-space model: slices mixed as a sequence (arXiv 2505.19105).

    The nodes are averaged into G slices as in
    :class:`~flare_mesh.models.Transolver`, and the sequence of slices is mixed by a bidirectional
    state-space layer; see :class:`~flare_mesh.nn.lamo_attention.LaMOAttention` for the equations.
    It costs O(N C (C + G)). The default is the published model for Elasticity: one set of
    projections to slices for all layers, applied to each layer's own input. The authors' model
    ``unshared`` has ``shared_slices=False`` and ``expand=1``.

    With ``patch`` it is the published model for Darcy and Navier-Stokes: no slices, but patches of
    a regular grid (:class:`~flare_mesh.nn.patches.Patches`), mixed by scans along rows and columns
    (:class:`~flare_mesh.nn.cross_scan.CrossScan`). Its initial weights are those of the authors'
    code; the vector that it adds to the coordinates where there are no features is left out.

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
        patch: Nodes of a patch along each axis of a grid of two axes, 2 in the paper; None for
            slices. Options of slices, and the time, have no use with it.
        padded_shape: Nodes along each axis with padding, such as ``[88, 88]`` for the published 85
            x 85; by default the next multiples of ``patch``.

    Shapes:
        As :meth:`FieldModel.forward`. ``weight`` weighs the nodes in the averages of the slices;
        only its ratios within a graph matter. With ``patch`` it has no use and is refused.

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
        patch: int | None = None,
        padded_shape: Sequence[int] | None = None,
        pos_dim: int = 3,
        checkpointing: bool = False,
    ) -> None:
        grid_shape = check_grid_shape(self, grid_shape)
        padded_shape = None if padded_shape is None else [*padded_shape]
        options = locals()
        check_choice(self, list(_MIXERS), sequence_mixer=sequence_mixer)
        slicing = partial(Slicing, hidden_channels, heads, num_slices, grid_shape)

        def attention() -> LaMOAttention:
            mixer = _MIXERS[sequence_mixer](hidden_channels, expand=expand, state_size=state_size)
            return LaMOAttention(hidden_channels, mixer, None if shared_slices else slicing())

        if patch is None:
            if padded_shape is not None:
                raise ValueError(
                    f"LaMO: expected 'patch', the nodes of a patch, with 'padded_shape' (got "
                    f"padded_shape={padded_shape} and no patch)"
                )
            super().__init__(attention, options, slicing if shared_slices else None)
            return
        FieldModel.__init__(self, options)
        self._check_patch_options(grid_shape)
        assert grid_shape is not None
        c, features = hidden_channels, pos_dim + in_channels
        self.patches = Patches(features, c, out_channels, grid_shape, patch, padded_shape)
        scan = partial(CrossScan, c, self.patches.grid, expand=expand, state_size=state_size)
        self.blocks = nn.ModuleList(
            MixingBlock(c, scan(), mlp_ratio=mlp_ratio) for _ in range(num_layers)
        )

    def _check_patch_options(self, grid_shape: list[int] | None) -> None:
        if grid_shape is None or len(grid_shape) != 2:
            raise ValueError(
                f"LaMO: expected with 'patch' a 'grid_shape' of two axes (got {grid_shape}); give "
                f"it, or leave out 'patch' for meshes and other grids"
            )
        defaults = inspect.signature(type(self)).parameters
        given = [key for key in _OF_SLICES if self.config[key] != defaults[key].default]
        if given:
            raise ValueError(
                f"LaMO: with 'patch' there are no slices, and no use for {', '.join(given)}; leave "
                f"it out, or leave out 'patch'"
            )

    def reset_parameters(self) -> None:
        """As :class:`SliceModel`; with patches as torch and their layers draw them."""
        if self.config["patch"] is None:
            super().reset_parameters()
            return
        for module in self.modules():
            if module is not self and hasattr(module, "reset_parameters"):
                module.reset_parameters()  # pyright: ignore[reportCallIssue]

    def evaluate(self, nodes: Nodes) -> Tensor:
        if self.config["patch"] is None:
            return super().evaluate(nodes)
        if nodes.graphs.log_weight is not None:
            raise ValueError(
                "LaMO: expected no 'weight' with 'patch', as nodes of a regular grid have equal "
                "ones (got some); leave it out"
            )
        check_grids(self, nodes.graphs.layout, self.config["grid_shape"])
        h = self.patches.embed(nodes.features())
        count = self.patches.grid[0] * self.patches.grid[1]
        graphs = Graphs(equal_layout(len(h) // count, count, h.device))
        for block in self.blocks:
            h = self.run_block(block, h, graphs)
        return self.patches.field(h)
