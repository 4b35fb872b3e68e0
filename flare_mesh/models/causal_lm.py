"""A language model of causal FLARE layers."""

import torch
from torch import Tensor, nn

from flare_mesh.models.stored_model import StoredModel
from flare_mesh.nn.causal_block import BlockState, CausalBlock
from flare_mesh.nn.graphs import graphs_of
from flare_mesh.nn.init import init_linear
from flare_mesh.nn.option_checks import check_at_least, check_heads
from flare_mesh.nn.resolver import RMSNorm
from flare_mesh.nn.token_checks import check_tokens

LMState = list[BlockState]
"""States of the layers: what the model keeps of a text, the same size for any length."""


class CausalLM(StoredModel):
    """Scores of the next token of a sequence, from the tokens so far.

    Pre-norm layers of causal FLARE and SwiGLU without biases, and a token table that is also the
    output layer, as in the authors' language model (``FLARE-LM``, vpuri3/causal-flare): with its
    sizes, 24 layers of 1,024 channels, 16 heads of 16 latents, a SwiGLU width of 2,816, 32,000
    tokens and no convolution, it has its 316 million parameters. FLARE mixes a set of tokens; their
    order comes in by the mask, and by the short convolution before each mixing (not in the
    authors' model), without which a token cannot tell the last token from the one before it.

    Args:
        num_tokens: Tokens in the vocabulary, numbered from 0.
        channels: Channels C.
        num_layers: Layers.
        heads: Heads of the mixing.
        num_latents: Latents of each head.
        mlp_channels: Width of the SwiGLU layers; None for 8/3 C.
        kernel_size: Tokens in the convolution, or 0.

    Raises:
        ValueError: If a size does not fit.
    """

    NAME = "causal_lm"

    def __init__(
        self,
        num_tokens: int,
        *,
        channels: int = 256,
        num_layers: int = 6,
        heads: int = 8,
        num_latents: int = 32,
        mlp_channels: int | None = None,
        kernel_size: int = 4,
    ) -> None:
        super().__init__(locals())
        check_at_least(self, 1, num_tokens=num_tokens, num_latents=num_latents)
        check_at_least(self, 0, num_layers=num_layers, kernel_size=kernel_size)
        check_heads(self, channels, heads)
        hidden = round(channels * 8 / 3) if mlp_channels is None else mlp_channels
        self.table = nn.Embedding(num_tokens, channels)
        self.blocks = nn.ModuleList(
            CausalBlock(channels, hidden, heads, num_latents, kernel_size)
            for _ in range(num_layers)
        )
        self.norm = RMSNorm(channels, eps=1e-6)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Table and linear weights from N(0, 0.02); the others by their layers."""
        nn.init.normal_(self.table.weight, std=0.02)
        init_linear(self)

    def forward(self, tokens: Tensor, *, ptr: Tensor | None = None) -> Tensor:
        """Scores of the next token after each token, [N, num_tokens].

        Args:
            tokens: Tokens of all sequences, one after another, int64 [N].
            ptr: Offsets of the sequences, int64 [B + 1]; None for one sequence.

        Raises:
            ValueError: If a shape, dtype or token does not fit.
        """
        return self.read(tokens, ptr=ptr)[0]

    def read(
        self, tokens: Tensor, state: LMState | None = None, *, ptr: Tensor | None = None
    ) -> tuple[Tensor, LMState]:
        """Scores [N, num_tokens] as :meth:`forward`, and the state after the last tokens.

        With the state of earlier tokens, the scores are those of all tokens in one call.

        Raises:
            ValueError: If a shape, dtype or token does not fit.
        """
        check_tokens(tokens, self.table.num_embeddings)
        layout = graphs_of(tokens, ptr=ptr).layout
        x, new = self.table(tokens), []
        for number, block in enumerate(self.blocks):
            x, after = block(x, layout, None if state is None else state[number])
            new.append(after)
        return nn.functional.linear(self.norm(x), self.table.weight), new

    @torch.no_grad()
    def generate(
        self,
        prompt: Tensor,
        length: int,
        *,
        temperature: float = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Continue a sequence by ``length`` tokens; the time of each does not grow.

        Args:
            prompt: At least one token, int64 [N].
            length: Tokens to add.
            temperature: Divides the scores before a token is drawn; 0 takes the likeliest token.
            generator: Random numbers.

        Returns:
            The new tokens, int64 [length].

        Raises:
            ValueError: If the prompt is empty, or a value does not fit.
        """
        if len(prompt) < 1 or length < 0 or not temperature >= 0:
            raise ValueError(
                "expected a prompt of at least one token, length >= 0 and temperature >= 0 "
                f"(got {len(prompt)} tokens, {length} and {temperature})"
            )
        scores, state = self.read(prompt)
        new = []
        for _ in range(length):
            last = scores[-1:].float()
            if temperature == 0:
                token = last.argmax(-1)
            else:
                shares = torch.softmax(last / temperature, dim=-1)
                token = torch.multinomial(shares, 1, generator=generator)[0]
            new.append(token)
            scores, state = self.read(token, state)
        return torch.cat(new) if new else prompt[:0]
