"""Transolver++, a baseline of FLARE."""

from flare_mesh.models.slice_model import SliceModel
from flare_mesh.nn.eidetic_attention import EideticAttention


class TransolverPlus(SliceModel):
    r"""Transolver with sharper slices: a temperature for each node, and noise (arXiv 2502.02414).

    See :class:`~flare_mesh.nn.eidetic_attention.EideticAttention` for the equations. They follow
    the authors' code, where the local temperature is a network of two layers, and not the paper,
    where it is one Linear. Cost and remaining parts as :class:`~flare_mesh.models.Transolver`.

    Departures from the authors' code: it draws noise in evaluation too, so that each call gives
    another field for the same mesh (here ``gumbel="always"``). It has a linear layer for three
    global conditions, with 4 C parameters, which the benchmarks of FLARE count but never call
    (here such conditions are features of the nodes). Checkpointing is an option.

    Sizes and options without an entry are as in :class:`~flare_mesh.FLAREOperator`.

    Args:
        num_slices: Slices of each head.
        gumbel: When the shares of the slices have noise: ``"train"`` (in training mode),
            ``"always"`` or ``"never"``. With noise, a graph's result is random.
        mlp_ratio: Width of the blocks' hidden layers over C.

    Shapes:
        As :meth:`FieldModel.forward`. ``weight`` weighs the nodes in the averages of the slices;
        only its ratios within a graph matter.

    Raises:
        ValueError: If an option is unknown or a size does not fit.
    """

    NAME = "transolver++"

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        hidden_channels: int = 128,
        num_layers: int = 8,
        heads: int = 8,
        num_slices: int = 64,
        gumbel: str = "train",
        mlp_ratio: float = 1.0,
        pos_dim: int = 3,
        checkpointing: bool = False,
    ) -> None:
        super().__init__(
            lambda: EideticAttention(hidden_channels, heads, num_slices, gumbel=gumbel), locals()
        )
