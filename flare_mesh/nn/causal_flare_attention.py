"""The causal FLARE layer of sequence models."""

import torch
from torch import Tensor, nn

from flare_mesh.nn.init import init_linear
from flare_mesh.nn.layer_input import layer_input
from flare_mesh.nn.option_checks import check_at_least, check_choice, check_heads, key_and_value
from flare_mesh.nn.residual_mlp import ResidualMLP
from flare_mesh.ops.causal_flare import BACKENDS, CausalState, attend_causally

_DECODES = ("shared", "separate")


class CausalFLAREAttention(nn.Module):
    r"""FLARE mixing in which a token sees itself and the tokens before it, at cost O(N M C).

    The causal form of :class:`flare_mesh.FLAREAttention` (arXiv 2508.12594); see
    :func:`flare_mesh.ops.flare_causal_attention` for the equations. A text is read in one call and
    continued token by token: what is kept of it, the state, has the size H M (D + 1) for any
    number of tokens.

    Args:
        channels: Channels C of input and output.
        heads: Heads H; divides ``channels``.
        num_latents: Latents M of each head.
        kv_layers: Residual hidden layers of the key and value projections, which are
            :class:`ResidualMLP` with both residuals; -1 for one Linear. One number, or a pair
            [keys, values].
        scale: Factor on the scores; None for 1 / sqrt(D).
        decode: ``"shared"``: the tokens read the latents with the scores by which they were
            written. ``"separate"``: with a projection and latent keys of their own.
        bias: Whether Linear layers have biases; False only where the projections are one Linear.
        act: Activation of the projections.
        backend: Backend of :func:`flare_mesh.ops.flare_causal_attention`.

    Shapes:
        x flat [N, C] with ``batch`` [N] or ``ptr`` [B + 1] (one sequence without either), or dense
        [B, N, C] with an optional ``mask`` [B, N]; output: shape of x, 0 at masked rows.

    Raises:
        ValueError: If the sizes do not fit together, or an option is unknown.
    """

    def __init__(
        self,
        channels: int,
        heads: int = 8,
        num_latents: int = 64,
        *,
        kv_layers: int | list[int] = -1,
        scale: float | None = None,
        decode: str = "shared",
        bias: bool = True,
        act: str = "gelu",
        backend: str = "auto",
    ) -> None:
        super().__init__()
        check_heads(self, channels, heads)
        check_at_least(self, 1, num_latents=num_latents)
        check_choice(self, _DECODES, decode=decode)
        check_choice(self, BACKENDS, backend=backend)
        self.channels, self.heads = channels, heads
        self.decode, self.backend = decode, backend
        width = channels // heads
        self.scale = width**-0.5 if scale is None else scale

        def projection(layers: int) -> nn.Module:
            if layers == -1:
                return nn.Linear(channels, channels, bias=bias)
            options = {"input_residual": True, "output_residual": True, "act": act}
            return ResidualMLP(channels, channels, channels, layers, **options)

        key_layers, value_layers = key_and_value(self, kv_layers=kv_layers)
        if not bias and (key_layers, value_layers) != (-1, -1):
            raise ValueError(
                f"CausalFLAREAttention: expected bias=False with kv_layers=-1 (got {kv_layers})"
            )
        self.latent_query = nn.Parameter(torch.empty(heads, num_latents, width))
        self.key = projection(key_layers)
        self.value = projection(value_layers)
        if decode == "separate":
            self.latent_key = nn.Parameter(torch.empty(heads, num_latents, width))
            self.read_query = projection(key_layers)
        self.out = nn.Linear(channels, channels, bias=bias)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Latents' vectors from N(0, 1), linear weights from N(0, 0.02), biases 0."""
        for parameter in self.parameters(recurse=False):
            nn.init.normal_(parameter)
        for module in self.children():
            init_linear(module)

    def forward(
        self,
        x: Tensor,
        batch: Tensor | None = None,
        *,
        ptr: Tensor | None = None,
        mask: Tensor | None = None,
        batch_size: int | None = None,
        state: CausalState | None = None,
        return_state: bool = False,
    ) -> Tensor | tuple[Tensor, CausalState]:
        """Mix the tokens of each sequence.

        Args:
            x: [N, C], or [B, N, C].
            batch: Sequence of each token of flat input, sorted, [N].
            ptr: Offsets of the sequences of flat input, [B + 1].
            mask: Valid tokens of dense input, [B, N]; others change nothing.
            batch_size: Number of sequences of ``batch``.
            state: State of each sequence after earlier tokens.
            return_state: Whether to return the state after these tokens too.

        Raises:
            ValueError: If shapes do not fit.
        """
        tokens, graphs = layer_input(
            "CausalFLAREAttention", self.channels, x, batch, ptr, mask, None, batch_size, None
        )
        key, value = self._split(self.key(tokens)), self._split(self.value(tokens))
        reads = latent_key = None
        if self.decode == "separate":
            reads, latent_key = self._split(self.read_query(tokens)), self.latent_key.to(key.dtype)
        mixed, new = attend_causally(
            self.latent_query.to(key.dtype), key, value, reads, latent_key, mask, graphs.layout,
            scale=self.scale, state=state, backend=self.backend,
        )  # fmt: skip
        out = self.out(mixed.flatten(-2)).reshape(x.shape)
        if mask is not None:
            out = out.masked_fill(~mask[..., None], 0.0)
        return (out, new) if return_state else out

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1))
