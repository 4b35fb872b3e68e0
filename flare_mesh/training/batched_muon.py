"""Muon for many small matrices."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

_STEPS = 5
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_SMALLEST_NORM = 1e-7


class BatchedMuon(torch.optim.Muon):
    r"""``torch.optim.Muon`` with one iteration for all matrices of a shape.

    Torch orthogonalises one matrix after the other in bfloat16. The projections of a mesh model are
    many and small, and most CPUs compute bfloat16 slowly: there, a step can take as long as the
    forward pass. Here the matrices of a shape are one batch, in float32 on CPUs. The step is scaled
    by :math:`0.2 \sqrt{\max(n, m)}` (``match_rms_adamw``, arXiv 2502.16982).

    Args:
        matrices: Parameters with two dimensions, or parameter groups of them.
        lr: As in ``torch.optim.Muon``, like the other options.
    """

    def __init__(
        self,
        matrices: Any,
        *,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
    ) -> None:
        super().__init__(
            matrices,
            lr,
            weight_decay,
            momentum,
            nesterov,
            adjust_lr_fn="match_rms_adamw",
        )

    @torch.no_grad()
    def step(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, closure: Callable[[], Any] | None = None
    ) -> Any:
        loss = evaluate_closure(closure)
        for group in self.param_groups:
            alike: dict[Any, list[Tensor]] = {}
            for matrix in group["params"]:
                if matrix.grad is not None:
                    alike.setdefault((matrix.shape, matrix.device), []).append(matrix)
            for matrices in alike.values():
                self._update(group, matrices)
        return loss

    def _update(self, group: dict[str, Any], matrices: list[Tensor]) -> None:
        grads = [matrix.grad for matrix in matrices if matrix.grad is not None]
        means = []
        for matrix in matrices:
            state = self.state[matrix]
            if "momentum_buffer" not in state:
                state["momentum_buffer"] = torch.zeros_like(matrix)
            means.append(state["momentum_buffer"])
        torch._foreach_lerp_(means, grads, 1 - group["momentum"])  # pyright: ignore[reportPrivateImportUsage]
        # Nesterov's momentum looks one step ahead.
        steps = torch._foreach_lerp(grads, means, group["momentum"]) if group["nesterov"] else means  # pyright: ignore[reportPrivateImportUsage]
        directions = orthogonalize(torch.stack([*steps])).to(matrices[0].dtype)
        size = group["lr"] * 0.2 * math.sqrt(max(matrices[0].shape))
        torch._foreach_mul_(matrices, 1 - group["lr"] * group["weight_decay"])  # pyright: ignore[reportPrivateImportUsage]
        torch._foreach_add_(matrices, [*directions.unbind()], alpha=-size)  # pyright: ignore[reportPrivateImportUsage]


def evaluate_closure(closure: Callable[[], Any] | None) -> Any:
    """Loss of the closure that may be given to a step, which computes gradients; None without."""
    if closure is None:
        return None
    with torch.enable_grad():
        return closure()


def orthogonalize(matrices: Tensor) -> Tensor:
    """Nearly orthogonal matrices with the same singular vectors, by Newton-Schulz iteration.

    The quintic iteration of Muon (https://kellerjordan.github.io/posts/muon): the singular values
    of the result are between about 0.7 and 1.2.

    Args:
        matrices: [B, n, m]; in float32 on a CPU, in bfloat16 elsewhere.
    """
    wide = matrices.to(torch.float32 if matrices.device.type == "cpu" else torch.bfloat16)
    tall = wide.shape[-2] > wide.shape[-1]
    if tall:
        wide = wide.mT
    wide = wide / torch.linalg.matrix_norm(wide, keepdim=True).clamp(min=_SMALLEST_NORM)
    a, b, c = _COEFFICIENTS
    for _ in range(_STEPS):
        gram = wide @ wide.mT
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        wide = torch.baddbmm(wide, factor, wide, beta=a)
    return wide.mT if tall else wide
