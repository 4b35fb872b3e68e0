"""Time series that a model goes through step by step."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rollout:
    """Which channels of x are the past of which predicted fields.

    A set of time series names the past of a field ``<field>_in`` and its future ``<field>_out``
    (:class:`~flare_mesh.datasets.MeshFolder`, :class:`~flare_mesh.datasets.NavierStokes`), step by
    step: channel t C + c. The model predicts one step of all fields from x; the step becomes the
    latest of the past, and the oldest is dropped. Inputs that are no past stay as they are.

    Attributes:
        inputs: Channels of each field in x, in their order.
        fields: Channels of each field in y, in their order.
        num_in: Steps in x.
        num_out: Steps in y.
    """

    inputs: Mapping[str, int]
    fields: Mapping[str, int]
    num_in: int
    num_out: int

    def __post_init__(self) -> None:
        if self.num_in < 1 or self.num_out < 1:
            raise ValueError(
                f"rollout: expected at least one step in and one out (got {self.num_in} and "
                f"{self.num_out})"
            )
        for name, channels in self.fields.items():
            past = _past_of(name)
            if past not in self.inputs or channels % self.num_out:
                raise ValueError(
                    f"rollout: expected the past of '{name}' as an input '{past}', and "
                    f"{self.num_out} steps of '{name}' (got inputs {dict(self.inputs)} and fields "
                    f"{dict(self.fields)}); choose inputs and targets alike"
                )
            if self.inputs[past] != self.num_in * self.step_fields[name]:
                raise ValueError(
                    f"rollout: expected {self.num_in} steps of {self.step_fields[name]} channels "
                    f"in '{past}' (got {self.inputs[past]} channels)"
                )

    @property
    def step_fields(self) -> dict[str, int]:
        """Channels of one step of each field, which the model predicts side by side."""
        return {name: channels // self.num_out for name, channels in self.fields.items()}

    @property
    def past(self) -> list[bool]:
        """Of each channel of x, whether it is the past of a predicted field."""
        known = {_past_of(name) for name in self.fields}
        return [name in known for name, size in self.inputs.items() for _ in range(size)]

    def advance(self, x: Tensor, step: Tensor) -> Tensor:
        """x [N, C_in] for the next step, after ``step`` [N, C_step]."""
        parts = dict(zip(self.inputs, x.split(list(self.inputs.values()), 1), strict=True))
        steps = zip(self.step_fields, step.split(list(self.step_fields.values()), 1), strict=True)
        for name, latest in steps:
            past = _past_of(name)
            parts[past] = torch.cat([parts[past][:, latest.shape[1] :], latest], 1)
        return torch.cat(list(parts.values()), 1)

    def split(self, y: Tensor) -> list[Tensor]:
        """The steps [N, C_step] of y [N, C_out]."""
        fields = y.split([size * self._steps_of(y) for size in self.step_fields.values()], 1)
        sizes = self.step_fields.values()
        steps = zip(*(f.split(c, 1) for f, c in zip(fields, sizes, strict=True)), strict=True)
        return [torch.cat(step, 1) for step in steps]

    def join(self, steps: Sequence[Tensor]) -> Tensor:
        """y of any number of steps [N, C_step]; the inverse of :meth:`split`."""
        sizes = list(self.step_fields.values())
        parts = zip(*(step.split(sizes, 1) for step in steps), strict=True)
        return torch.cat([torch.cat(series, 1) for series in parts], 1)

    def fields_of(self, num_steps: int) -> dict[str, int]:
        """Channels of each field over that many steps."""
        return {name: size * num_steps for name, size in self.step_fields.items()}

    def _steps_of(self, y: Tensor) -> int:
        return y.shape[1] // sum(self.step_fields.values())

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def _past_of(field: str) -> str:
    return f"{field.removesuffix('_out')}_in"
