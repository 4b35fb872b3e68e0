"""Optimisers by name."""

import math
from dataclasses import dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor, nn

from flare_mesh.choices import check_choice
from flare_mesh.training.muon_with_adamw import MuonWithAdamW
from flare_mesh.training.parameter_groups import hidden_matrices, parameter_groups
from flare_mesh.training.unused_options import refuse_unused

OptimizerName = Literal["adamw", "lion", "muon"]

_BETAS = {"adamw": (0.9, 0.999), "lion": (0.9, 0.99), "muon": (0.9, 0.999)}
_UNUSED = {
    "adamw": ("muon_lr", "muon_momentum"),
    "lion": ("eps", "muon_lr", "muon_momentum"),
    "muon": (),
}


@dataclass(frozen=True)
class OptimizerConfig:
    """Optimiser and its options.

    Attributes:
        name: ``adamw`` (arXiv 1711.05101); ``lion`` (arXiv 2302.06675), which needs a learning rate
            three to ten times smaller than AdamW's, and a weight decay larger by the same factor;
            ``muon`` for the matrices between the first and the last layer, with AdamW for all other
            parameters.
        lr: Peak learning rate.
        weight_decay: Weight decay of layers' weights; norms, biases, embeddings and latents have
            none.
        betas: Decay rates of the running means; None for the optimiser's default, (0.9, 0.99) for
            ``lion`` and (0.9, 0.999) for the others. A schedule may cycle the first.
        eps: Term added to the root of AdamW's second moment.
        decay_latents: Whether latents decay too, as in the published runs of FLARE.
        muon_lr: Peak learning rate of Muon; None for ``lr``, since Muon's steps are scaled to the
            size of AdamW's.
        muon_momentum: Momentum of Muon. A schedule may cycle it.
    """

    name: OptimizerName = "adamw"
    lr: float = 1e-3
    weight_decay: float = 1e-5
    betas: tuple[float, float] | None = None
    eps: float = 1e-8
    decay_latents: bool = False
    muon_lr: float | None = None
    muon_momentum: float = 0.95

    def __post_init__(self) -> None:
        check_choice("OptimizerConfig: unknown optimizer", self.name, get_args(OptimizerName))
        for name in ("lr", "eps", "muon_lr"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"OptimizerConfig: expected '{name}' > 0 (got {value})")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(
                f"OptimizerConfig: expected 'weight_decay' >= 0 (got {self.weight_decay})"
            )
        betas = (0.0, 0.0) if self.betas is None else self.betas
        if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f"OptimizerConfig: expected two 'betas' from 0 to below 1 (got {self.betas})"
            )
        if not 0 <= self.muon_momentum < 1:
            raise ValueError(
                "OptimizerConfig: expected 'muon_momentum' from 0 to below 1 "
                f"(got {self.muon_momentum})"
            )
        refuse_unused(self, f"the optimizer '{self.name}'", _UNUSED[self.name])


def build_optimizer(module: nn.Module, config: OptimizerConfig) -> torch.optim.Optimizer:
    """Optimiser of a module's parameters, with weight decay of layers' weights only.

    Args:
        module: The module, on the device where it is trained.
        config: The optimiser and its options.

    Raises:
        ImportError: If ``lion`` is chosen and not installed.
        ValueError: If all parameters are frozen, or there is no hidden matrix for ``muon``.
    """
    decay, latents = config.weight_decay, config.decay_latents
    groups = parameter_groups(module, decay, decay_latents=latents)
    trained = [parameter for group in groups for parameter in group["params"]]
    if not trained:
        raise ValueError(f"{type(module).__name__}: expected parameters to train (all are frozen)")
    first, second = _BETAS[config.name] if config.betas is None else config.betas
    betas = float(first), float(second)
    fused = _can_fuse(trained)
    if config.name == "lion":
        return _lion(groups, lr=config.lr, betas=betas)
    if config.name == "muon":
        matrices = hidden_matrices(module)
        taken = set(matrices)
        for group in groups:
            group["params"] = [p for p in group["params"] if p not in taken]
        return MuonWithAdamW(
            matrices,
            groups,
            lr=config.lr,
            muon_lr=config.lr if config.muon_lr is None else config.muon_lr,
            weight_decay=decay,
            momentum=config.muon_momentum,
            betas=betas,
            eps=config.eps,
            fused=fused,
        )
    optimizer = torch.optim.AdamW(groups, lr=config.lr, betas=betas, eps=config.eps, fused=fused)
    # The gradient scaler unscales: Lightning clips no gradients that the optimiser unscales.
    optimizer._step_supports_amp_scaling = False  # pyright: ignore[reportAttributeAccessIssue]
    return optimizer


def _can_fuse(parameters: list[Tensor]) -> bool:
    """Whether AdamW can update all parameters in one call."""
    return all(p.is_floating_point() and p.device.type in ("cpu", "cuda") for p in parameters)


def _lion(groups: list[dict[str, Any]], **options: Any) -> torch.optim.Optimizer:
    try:
        from lion_pytorch import Lion
    except ImportError as error:
        raise ImportError(
            "the optimizer 'lion' needs the package lion-pytorch: pip install \"flare-mesh[optim]\""
        ) from error
    return Lion(groups, **options)
