"""Muon for hidden matrices and AdamW for all other parameters, as one optimiser."""

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor

from flare_mesh.training.batched_muon import BatchedMuon, evaluate_closure


class MuonWithAdamW(torch.optim.Optimizer):
    r""":class:`BatchedMuon` and ``torch.optim.AdamW`` with one state and one list of groups.

    A step of Muon (https://kellerjordan.github.io/posts/muon) is the orthogonalised momentum of a
    matrix; scaled by :math:`0.2 \sqrt{\max(n, m)}`, it needs the learning rate and weight decay of
    AdamW (arXiv 2502.16982).

    Args:
        matrices: Matrices for Muon.
        groups: Parameter groups with ``weight_decay`` for AdamW.
        lr: Learning rate of AdamW.
        muon_lr: Learning rate of Muon.
        weight_decay: Weight decay of the matrices.
        momentum: Momentum of Muon.
        betas: Decay rates of AdamW's running means.
        eps: Term added to the root of AdamW's second moment.
        fused: Whether AdamW updates all parameters in one call.

    Attributes:
        param_groups: Muon's group, then AdamW's. All have a ``momentum``, which a schedule may
            cycle; for AdamW it is the first of ``betas``.

    Raises:
        ValueError: If there are no matrices, as when FSDP has flattened them.
    """

    def __init__(
        self,
        matrices: Iterable[Tensor],
        groups: Iterable[dict[str, Any]],
        *,
        lr: float,
        muon_lr: float,
        weight_decay: float,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        fused: bool = False,
    ) -> None:
        matrices = list(matrices)
        if not matrices:
            raise ValueError(
                "the optimizer 'muon' found no weight matrices between the first and the last "
                "layer; take a deeper model that FSDP does not flatten, or choose 'adamw' or 'lion'"
            )
        muon = BatchedMuon(
            matrices,
            lr=muon_lr,
            weight_decay=weight_decay,
            momentum=momentum,
        )
        adamw = torch.optim.AdamW(groups, lr=lr, betas=betas, eps=eps, fused=fused)
        for group in adamw.param_groups:
            group["momentum"] = betas[0]
        super().__init__([*muon.param_groups, *adamw.param_groups], {"momentum": momentum})
        self._link()

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._link()

    def _link(self) -> None:
        """Let both optimisers work on the groups and the state of this one."""
        muon = [group for group in self.param_groups if "betas" not in group]
        adamw = [group for group in self.param_groups if "betas" in group]
        self._parts = (BatchedMuon(muon), torch.optim.AdamW(adamw))
        for part in self._parts:
            part.state = self.state

    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, closure: Callable[[], Any] | None = None
    ) -> Any:
        loss = evaluate_closure(closure)
        for group in self._parts[1].param_groups:
            group["betas"] = (group["momentum"], group["betas"][1])
        for part in self._parts:
            part.step()
        return loss
