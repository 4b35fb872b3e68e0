"""Range of the training cases, to warn of cases outside it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from torch_geometric.data import Data

from flare_mesh.data.transforms.channels import Channel
from flare_mesh.surrogate.training_statistics import Statistics

Bounds = tuple[float, float]


@dataclass(frozen=True)
class TrainingRange:
    """Smallest and largest values over the training cases.

    Attributes:
        num_nodes: Bounds of the number of nodes of a case.
        pos: Bounds of each coordinate.
        extent: Bounds of the size of a case along each axis.
        x: Bounds of each input channel.
    """

    num_nodes: Bounds
    pos: Sequence[Bounds]
    extent: Sequence[Bounds]
    x: Sequence[Bounds] = ()

    @classmethod
    def from_case(cls, data: Data) -> Self:
        """The range of a single case with ``pos`` and possibly ``x``."""
        assert data.pos is not None
        pos, x = data.pos.numpy(), None if data.x is None else data.x.numpy()
        low, high = pos.min(0), pos.max(0)
        features = [] if x is None else _bounds(x.min(0), x.max(0))
        return cls(
            (len(pos), len(pos)), _bounds(low, high), _bounds(high - low, high - low), features
        )

    @classmethod
    def from_statistics(cls, statistics: Statistics) -> Self:
        """The range of training cases, from :func:`gather_statistics`."""
        bounds = {key: _bounds(s.minimum, s.maximum) for key, s in statistics.items()}
        low, high = bounds["num_nodes"][0]
        return cls((int(low), int(high)), bounds["pos"], bounds["extent"], bounds["x"])

    def differences(
        self, data: Data, channels: Sequence[Channel] = (), *, slack: float = 0.05
    ) -> list[str]:
        """Describe the properties of a case outside the range, one phrase each.

        Args:
            data: The case, on the CPU.
            channels: The input channels, if they are known.
            slack: Tolerance of each range, relative to its width.

        Raises:
            ValueError: If the case has other dimensions or channels.
        """
        case = type(self).from_case(data)
        for kind, known, got in (("dimensions", self.pos, case.pos), ("channels", self.x, case.x)):
            if len(known) != len(got):
                raise ValueError(f"expected {len(known)} {kind}, as in training (got {len(got)})")
        found = []
        low, high = self.num_nodes
        # Beyond a factor of two, the mesh has another resolution than in training.
        if case.num_nodes[0] > 2 * high or 2 * case.num_nodes[0] < low:
            found.append(f"{case.num_nodes[0]:,} nodes, trained on {low:,} to {high:,}")
        axes = ["xyz"[i] if i < 3 else str(i) for i in range(len(self.pos))]
        labels: dict[str, Sequence[Channel]] = {
            # The size along an axis says the same of centred cases.
            "pos": [
                Channel(f"coordinate {axis}", compared=not (_is_centred(a) and _is_centred(b)))
                for axis, a, b in zip(axes, self.pos, case.pos, strict=True)
            ],
            "extent": [Channel(f"size along {axis}") for axis in axes],
            "x": [Channel(f"input channel {i}") for i in range(len(self.x))],
        }
        if len(channels) == len(self.x):
            labels["x"] = channels
        # Constant channels and the plane of flat meshes still have rounding errors.
        reach = max(max(map(abs, bounds)) for bounds in self.pos)
        for key, titles in labels.items():
            for title, known, got in zip(
                titles, getattr(self, key), getattr(case, key), strict=True
            ):
                scale = max(map(abs, known)) if key == "x" else reach
                rounding = 1e-5 * (max(scale, 1.0) if title.log else scale)
                margin = max(slack * (known[1] - known[0]), rounding)
                outside = got[0] < known[0] - margin or got[1] > known[1] + margin
                if outside and title.compared:
                    spans = _span(got, title.log), _span(known, title.log)
                    found.append(f"{title.name} {spans[0]}, trained on {spans[1]}")
        return found

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Restore a range from its attributes, which JSON may have changed to lists."""
        pairs = {key: [tuple(pair) for pair in values[key]] for key in ("pos", "extent", "x")}
        return cls(tuple(values["num_nodes"]), **pairs)


def _bounds(low: Any, high: Any) -> list[Bounds]:
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def _is_centred(bounds: Bounds) -> bool:
    low, high = bounds
    return abs(low + high) <= 1e-5 * (high - low)


def _span(bounds: Bounds, log: bool) -> str:
    low, high = map(math.exp, bounds) if log else bounds
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
