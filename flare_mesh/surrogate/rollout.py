"""Time series that a model predicts step by step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rollout:
    """Autoregressive prediction: one step of all fields from the previous ``num_in`` steps in x.

    A data set of time series calls the past of a field ``<field>_in`` and its future
    ``<field>_out`` (:class:`~flare_mesh.datasets.MeshFolder`,
    :class:`~flare_mesh.datasets.NavierStokes`), step by step: channel t C + c. Each predicted step
    is appended to the past, whose oldest step is dropped. Other inputs are constant in time.

    Attributes:
        inputs: Channels of each field in x, in order; channels that features append to x follow.
        fields: Channels of each field in y, in order.
        num_in: Steps in x.
        num_out: Steps in y.
        input_steps: Steps that a model with a history sees at a time: the known steps are read one
            after the other. None for a model without, which sees all ``num_in`` steps.

    Raises:
        ValueError: If a field in y has no past in x, or the channels do not match the steps.
    """

    inputs: Mapping[str, int]
    fields: Mapping[str, int]
    num_in: int
    num_out: int
    input_steps: int | None = None

    def __post_init__(self) -> None:
        if self.num_in < 1 or self.num_out < 1:
            raise ValueError(
                f"rollout: expected at least one step in and one out (got {self.num_in} and "
                f"{self.num_out})"
            )
        if not 1 <= self.seen_steps <= self.num_in:
            raise ValueError(
                f"rollout.input_steps: expected 1 to {self.num_in}, the known steps (got "
                f"{self.input_steps})"
            )
        for name, channels in self.fields.items():
            past = _past_of(name)
            if past not in self.inputs or channels % self.num_out:
                raise ValueError(
                    f"rollout: expected the past of '{name}' as an input '{past}', and "
                    f"{self.num_out} steps of '{name}' (got inputs {dict(self.inputs)} and fields "
                    f"{dict(self.fields)}); choose the same inputs and targets"
                )
            if self.inputs[past] != self.num_in * self.step_fields[name]:
                raise ValueError(
                    f"rollout: expected {self.num_in} steps of {self.step_fields[name]} channels "
                    f"in '{past}' (got {self.inputs[past]} channels)"
                )

    @property
    def step_fields(self) -> dict[str, int]:
        """Channels of each field in one step, in the order of the model's output."""
        return {name: channels // self.num_out for name, channels in self.fields.items()}

    @property
    def seen_steps(self) -> int:
        """Steps that the model sees at a time."""
        return self.num_in if self.input_steps is None else self.input_steps

    @property
    def seen_inputs(self) -> dict[str, int]:
        """Channels of each field in what the model sees at a time, in order."""
        return {
            name: size * self.seen_steps // self.num_in if name in self._pasts else size
            for name, size in self.inputs.items()
        }

    @property
    def hidden_channels(self) -> int:
        """Channels of x that the model does not see at the same time as the others."""
        return sum(self.inputs.values()) - sum(self.seen_inputs.values())

    @property
    def past(self) -> list[bool]:
        """Whether each channel of the fields that the model sees is the past of a predicted one."""
        sizes = self.seen_inputs.items()
        return [name in self._pasts for name, size in sizes for _ in range(size)]

    @property
    def _pasts(self) -> set[str]:
        return {_past_of(name) for name in self.fields}

    def known(self, x: Tensor) -> list[Tensor]:
        """What the model sees at each known step of x [N, C_in], one after the other."""
        if self.input_steps is None:
            return [x]
        sizes = list(self.inputs.values())
        *fields, appended = x.split([*sizes, x.shape[1] - sum(sizes)], 1)
        seen = []
        for first in range(self.num_in - self.seen_steps + 1):
            parts = []
            for (name, size), field in zip(self.seen_inputs.items(), fields, strict=True):
                step = size // self.seen_steps if name in self._pasts else 0
                parts.append(field[:, first * step : first * step + size])
            seen.append(torch.cat([*parts, appended], 1))
        return seen

    def along(self, x: Tensor, y: Tensor) -> list[Tensor]:
        """What the model sees before each step of y and at the known steps, from the truth."""
        seen = self.known(x)
        for step in self.split(y)[:-1]:
            seen.append(self.advance(seen[-1], step))
        return seen

    def advance(self, x: Tensor, step: Tensor) -> Tensor:
        """Append ``step`` [N, C_step] to the past in x, and drop the oldest step.

        Args:
            x: What the model sees, :attr:`seen_inputs` and what features append.
            step: The step.
        """
        sizes = list(self.seen_inputs.values())
        *fields, appended = x.split([*sizes, x.shape[1] - sum(sizes)], 1)
        parts = dict(zip(self.inputs, fields, strict=True))
        steps = zip(self.step_fields, step.split(list(self.step_fields.values()), 1), strict=True)
        for name, latest in steps:
            past = _past_of(name)
            parts[past] = torch.cat([parts[past][:, latest.shape[1] :], latest], 1)
        return torch.cat([*parts.values(), appended], 1)

    def split(self, y: Tensor) -> list[Tensor]:
        """Split y [N, C_out] into its steps [N, C_step]."""
        fields = zip(self.split_fields(y).values(), self.step_fields.values(), strict=True)
        steps = zip(*(field.split(size, 1) for field, size in fields), strict=True)
        return [torch.cat(step, 1) for step in steps]

    def join(self, steps: Sequence[Tensor]) -> Tensor:
        """Join any number of steps [N, C_step] to y; the inverse of :meth:`split`."""
        sizes = list(self.step_fields.values())
        parts = zip(*(step.split(sizes, 1) for step in steps), strict=True)
        return torch.cat([torch.cat(series, 1) for series in parts], 1)

    def split_fields(self, y: Tensor) -> dict[str, Tensor]:
        """Split y [N, C_out] of any number of steps by field."""
        num_steps = y.shape[1] // sum(self.step_fields.values())
        sizes = [size * num_steps for size in self.step_fields.values()]
        return dict(zip(self.fields, y.split(sizes, 1), strict=True))


def _past_of(field: str) -> str:
    return f"{field.removesuffix('_out')}_in"
