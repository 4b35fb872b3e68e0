"""A surrogate as a function of named tensors, for export."""

import copy
from typing import Any

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from flare_mesh.models.field_model import FieldModel
from flare_mesh.surrogate.surrogate import Surrogate


class ExportedField(nn.Module):
    """Copy of a surrogate with torch's own operators only, whose inputs are tensors by name.

    Args:
        model: A surrogate; a model stands for one without normalisers.
        weight: Whether quadrature weights are an input; None if the training cases had them.

    Attributes:
        name: Name of the model's class, for messages.
        dtype: Type of the weights and of all inputs but ``edge_index``.
        weight: Whether quadrature weights are an input.
        trained_with_weights: Whether the training cases had weights; None if unknown.

    Raises:
        ValueError: If the model is neither in float32 nor in float64, or has a history.
    """

    def __init__(self, model: FieldModel | Surrogate, weight: bool | None) -> None:
        super().__init__()
        self.name = type(model.model if isinstance(model, Surrogate) else model).__name__
        self.dtype = next(model.parameters()).dtype
        if self.dtype not in (torch.float32, torch.float64):
            raise ValueError(
                f"{self.name}: expected a model in float32 or float64 to export (got "
                f"{self.dtype}); call model.float() first"
            )
        own = model.model if isinstance(model, Surrogate) else model
        if own.has_history:
            raise ValueError(
                f"{self.name}: cannot be exported: its steps depend on the earlier ones by a state "
                f"(history='{own.config['history']}'); train a model without history to export it"
            )
        self.surrogate = _copy(model, self.dtype, backend="sdpa")
        trained = self.surrogate.info.get("recipe", {}).get("weights")
        self.trained_with_weights = None if trained is None else bool(trained)
        self.weight = bool(trained) if weight is None else weight

    def forward(
        self,
        x: Tensor | None = None,
        pos: Tensor | None = None,
        weight: Tensor | None = None,
        edge_index: Tensor | None = None,
    ) -> Tensor:
        """The fields of one mesh [N, out_channels]; of a time series, its next step."""
        given = {"pos": pos, "weight": weight, "edge_index": edge_index}
        found = {key: tensor for key, tensor in given.items() if tensor is not None}
        return self.surrogate.step(Data.from_dict(found), x)

    def example(self, nodes: int) -> dict[str, Tensor]:
        """Inputs on random points, in the range of the training data."""
        generator = torch.Generator().manual_seed(nodes)
        surrogate, inputs = self.surrogate, {}
        normalizers = (("x", surrogate.x_normalizer), ("pos", surrogate.pos_normalizer))
        for key, normalizer in normalizers:
            if normalizer.channels:
                values = torch.randn(
                    nodes, normalizer.channels, generator=generator, dtype=self.dtype
                )
                inputs[key] = normalizer.inverse(values)
        if surrogate.scale is not None and "x" in inputs:
            channels = surrogate.scale.case_channels
            inputs["x"][:, channels] = inputs["x"][:1, channels]
        if self.weight:
            inputs["weight"] = self.example_weights(nodes)
        if surrogate.model.uses_edges:
            inputs["edge_index"] = torch.randint(nodes, (2, 3 * nodes), generator=generator)
        return inputs

    def example_weights(self, nodes: int) -> Tensor:
        """Quadrature weights between 0.1 and 1.1, [N]."""
        generator = torch.Generator().manual_seed(nodes)
        return torch.rand(nodes, generator=generator, dtype=self.dtype) + 0.1


class PredictedField:
    """The fields that :meth:`Surrogate.predict` computes on the CPU, from named tensors."""

    def __init__(self, model: FieldModel | Surrogate) -> None:
        self._surrogate = _copy(model, next(model.parameters()).dtype, backend="auto")

    def __call__(self, inputs: dict[str, Tensor]) -> Tensor:
        steps = None if self._surrogate.rollout is None else 1
        case: Any = Data.from_dict({**inputs})
        (found,) = self._surrogate.predict_prepared([case], num_steps=steps)
        return torch.cat([*found.values()], 1)


def _copy(model: FieldModel | Surrogate, dtype: torch.dtype, *, backend: str) -> Surrogate:
    """A copy on the CPU, in evaluation mode, whose mixers have the given backend."""
    if not isinstance(model, Surrogate):
        identity: dict[str, Any] = dict.fromkeys(("pos", "x", "y"), "identity")
        model = Surrogate(model, {"field": model.config["out_channels"]}, normalizers=identity)
    found = copy.deepcopy(model).requires_grad_(False).to("cpu", dtype).eval()
    for module in found.modules():
        if isinstance(getattr(module, "backend", None), str):
            setattr(module, "backend", backend)  # noqa: B010  not declared by nn.Module
    return found
