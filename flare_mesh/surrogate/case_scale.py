"""Scale of each field of a case, by which the predicted field is multiplied."""

from collections.abc import Iterable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from flare_mesh.data.transforms.channels import Channel
from flare_mesh.surrogate.case_size import CaseSize, measure_cases, varies
from flare_mesh.surrogate.power_law import PowerLaw
from flare_mesh.surrogate.scale_by import ScaleBy, find_dropped, read_scale_by


class CaseScale(nn.Module):
    r"""Scale s of each field of a case; a model predicts y / s, which varies less than y.

    s is a product of inputs that are constant over a case, a power law of all others, or both:

    .. math::
        s = \prod_i x_i \cdot \exp(a + b \cdot (z - z_0))

    The law is fitted to the root mean square of the field over each training case
    (:class:`~flare_mesh.surrogate.power_law.PowerLaw`). z are the channels of x that are constant
    over every training case: the logarithm of an input that is positive in all of them, so that b
    is its exponent, and features as they are (sizes among them are logarithms already). Beyond the
    training cases, z is limited to their range widened by its width on each side.

    An input may be negative, which changes the sign of the field. If it is zero in a prediction,
    the field is zero, as is right for a field that is proportional to it.

    Args:
        scale_by: For each field with a scale: the name of an input of one channel, ``"power_law"``,
            or a list of these, whose product is the scale.
        fields: Channels of each predicted field, in order.
        inputs: Channels of each field in x, in order; the first channels of x.
        in_channels: Channels of x.
        channels: Names of all channels of x; none if they are unknown.
        drop: Whether the inputs that are factors are hidden from the model, whose prediction is
            then exactly proportional to them. Each field must have them or a power law as a scale.

    Attributes:
        channels: The channels of x.
        factors: For each field with a scale, the channels of x that are factors of it.
        laws: Fields whose scale has a power law.

    Shapes:
        x [N, in_channels], or None without inputs. Output [N, C] for the C channels of all fields
        ([1, C] without x); it is 1 for a field without a scale.

    Raises:
        ValueError: If a field or input is unknown or has several channels, or ``drop`` does not
            fit.
    """

    constant: Tensor
    exponents: Tensor
    explained: Tensor
    center: Tensor
    low: Tensor
    high: Tensor
    is_log: Tensor
    _channel_field: Tensor
    _dropped: Tensor

    def __init__(
        self,
        scale_by: ScaleBy,
        fields: Mapping[str, int],
        inputs: Mapping[str, int],
        in_channels: int,
        channels: Sequence[Channel] = (),
        *,
        drop: bool = False,
    ) -> None:
        super().__init__()
        if min([*inputs.values(), *fields.values()]) < 1 or sum(inputs.values()) > in_channels:
            raise ValueError(
                f"scale_by: expected fields and inputs of at least one channel, and inputs of at "
                f"most {in_channels} in total (got {dict(fields)} and {dict(inputs)})"
            )
        self.channels = [*channels] or [Channel(f"input channel {i}") for i in range(in_channels)]
        self._inputs = sum(inputs.values())
        self.factors, self.laws = read_scale_by(scale_by, fields, inputs)
        count, numbers = len(self.factors), [*self.factors]
        self.register_buffer("constant", torch.zeros(count))
        self.register_buffer("exponents", torch.zeros(count, in_channels))
        self.register_buffer("explained", torch.zeros(count))
        for name in ("center", "low", "high"):
            self.register_buffer(name, torch.zeros(in_channels))
        self.register_buffer("is_log", torch.zeros(in_channels, dtype=torch.bool))
        # A field without a scale has the column after the last, which is 1.
        found = [(numbers.index(f) if f in numbers else count, fields[f]) for f in fields]
        columns = torch.tensor([column for column, size in found for _ in range(size)])
        self.register_buffer("_channel_field", columns, persistent=False)
        self._fields = dict(fields)
        dropped = torch.zeros(in_channels, dtype=torch.bool)
        if drop:
            names = [channel.name for channel in self.channels]
            dropped[find_dropped(self.factors, self.laws, fields, names)] = True
        self.register_buffer("_dropped", dropped, persistent=False)

    def hide_dropped(self, features: Tensor) -> Tensor:
        """Normalised features [N, in_channels], with zero for dropped inputs."""
        return features.masked_fill(self._dropped, 0.0)

    def forward(self, x: Tensor | None = None) -> Tensor:
        if x is None:
            x = self.constant.new_zeros(1, 0)
        # The length of a tensor is a constant in an exported program, its shape is not.
        one, z, columns = x.new_ones(x.shape[0]), None, []
        for row, (field, factors) in enumerate(self.factors.items()):
            scale = one
            for channel in factors:
                scale = scale * x[:, channel]
            if field in self.laws:
                z = self._law_features(x) if z is None else z
                # Not a matrix product, which mixed precision would round.
                scale = scale * (self.constant[row] + (z * self.exponents[row]).sum(1)).exp()
            columns.append(scale)
        return torch.stack([*columns, one], 1)[:, self._channel_field]

    def _law_features(self, x: Tensor) -> Tensor:
        """z - z_0 [N, in_channels]."""
        logs = x.clamp_min(torch.finfo(x.dtype).tiny).log()
        z = torch.where(self.is_log, logs, x)
        return z.maximum(self.low.to(z)).minimum(self.high.to(z)) - self.center

    def measure(self, cases: Iterable[Data]) -> list[CaseSize]:
        """What :meth:`fit` needs of training cases with ``x`` and ``y``, each read once."""
        return measure_cases(cases, self._fields, [*self.factors])

    def fit(self, sizes: Sequence[CaseSize]) -> None:
        """Check the inputs of all training cases, and fit the power laws to them.

        Raises:
            ValueError: If an input is zero in a case or varies over it, or a field with a power
                law is zero everywhere in a case; names the case.
        """
        low, high = (torch.stack([getattr(one, key) for one in sizes]) for key in ("low", "high"))
        for field, factors in self.factors.items():
            for channel in factors:
                for one, a, b in zip(
                    sizes, low[:, channel].tolist(), high[:, channel].tolist(), strict=True
                ):
                    self._check_input(one.case, field, channel, a, b)
        if not self.laws:
            return
        constant = ~varies(low, high).any(0)
        is_log = constant & (low > 0).all(0)
        is_log[self._inputs :] = False
        appended = torch.tensor([channel.log for channel in self.channels], dtype=torch.bool)
        x = (low + high) / 2
        z = torch.where(is_log, x.clamp_min(torch.finfo(x.dtype).tiny).log(), x)
        z = torch.where(constant, z, 0.0)
        width = z.amax(0) - z.amin(0)
        self.is_log.copy_(is_log)
        self.center.copy_(z.mean(0))
        self.low.copy_(z.amin(0) - width)
        self.high.copy_(z.amax(0) + width)
        for row, (field, factors) in enumerate(self.factors.items()):
            if field not in self.laws:
                continue
            squares = torch.stack([one.mean_square[row] for one in sizes])
            if not bool(squares.all()):
                zero = sizes[int((squares == 0).nonzero()[0])].case
                raise ValueError(
                    f"case '{zero}': '{field}' is zero at every node, so that it has no size for "
                    f"a power law; leave the case out, or take another scale_by.{field}"
                )
            log_size = squares.log() / 2 - x[:, factors].abs().log().sum(1)
            others = z.clone()
            others[:, factors] = 0  # a constant, without influence
            law = PowerLaw.fit(others, log_size, is_log=is_log | appended)
            self.constant[row] = law.constant
            self.exponents[row] = law.exponents
            self.explained[row] = law.explained

    def check_case(self, x: Tensor | None, case: str) -> None:
        """Refuse a case to predict in which a scale would vary.

        Args:
            x: Features [N, in_channels] of the case.
            case: Name of the case, for the message.

        Raises:
            ValueError: If an input on which a scale depends varies over the case.
        """
        channels = self.case_channels
        if x is None or not len(x) or not channels:
            return
        low, high = torch.aminmax(x[:, channels], dim=0)
        for i in varies(low, high).nonzero()[:, 0].tolist():
            raise ValueError(
                f"case '{case}': '{self.channels[channels[i]].name}' varies over the case, from "
                f"{float(low[i]):.4g} to {float(high[i]):.4g}; give one value for each case, as in "
                f"training"
            )

    def _check_input(self, case: str, field: str, channel: int, low: float, high: float) -> None:
        name = self.channels[channel].name
        if bool(varies(torch.tensor(low), torch.tensor(high))):
            raise ValueError(
                f"case '{case}': '{name}' varies over the case, from {low:.4g} to {high:.4g}, and "
                f"a scale of '{field}' is one number for each case; take another scale_by.{field}"
            )
        if not low or not high:
            raise ValueError(
                f"case '{case}': '{name}' is zero, and '{field}' cannot be divided by it; leave "
                f"the case out, or take another scale_by.{field}"
            )

    @property
    def case_channels(self) -> list[int]:
        """Channels of x on which a scale depends, which have one value for each case."""
        factors = {channel for channels in self.factors.values() for channel in channels}
        return sorted(factors.union(self.exponents.any(0).nonzero()[:, 0].tolist()))

    @property
    def power_laws(self) -> dict[str, dict[str, float]]:
        """Exponent of each channel of x, for each field with a power law; 0 without influence."""
        rows = dict(zip(self.factors, self.exponents.tolist(), strict=True))
        names = [channel.name for channel in self.channels]
        return {field: dict(zip(names, rows[field], strict=True)) for field in self.laws}

    def extra_repr(self) -> str:
        return ", ".join(self.factors)
