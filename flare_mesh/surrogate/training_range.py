"""What a model has been trained on, and what lies outside."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from torch_geometric.data import Data

Bounds = tuple[float, float]


@dataclass(frozen=True)
class TrainingRange:
    """Smallest and largest values over the training cases.

    Attributes:
        num_nodes: Nodes of a case.
        pos: Of each coordinate.
        extent: Of a case's size along each axis.
        x: Of each input channel.
    """

    num_nodes: Bounds
    pos: Sequence[Bounds]
    extent: Sequence[Bounds]
    x: Sequence[Bounds] = ()

    @classmethod
    def of(cls, data: Data) -> Self:
        """The range of a single case with ``pos`` and maybe ``x``."""
        assert data.pos is not None
        pos, x = data.pos.numpy(), None if data.x is None else data.x.numpy()
        low, high = pos.min(0), pos.max(0)
        features = [] if x is None else _bounds(x.min(0), x.max(0))
        return cls(
            (len(pos), len(pos)), _bounds(low, high), _bounds(high - low, high - low), features
        )

    @classmethod
    def merge(cls, ranges: Iterable["TrainingRange"]) -> Self:
        """The range of all of them."""
        every = list(ranges)
        parts = {}
        for key in ("pos", "extent", "x"):
            rows = np.array([getattr(one, key) for one in every])  # [cases, channels, 2]
            parts[key] = _bounds(rows[..., 0].min(0), rows[..., 1].max(0)) if rows.size else []
        nodes = np.array([one.num_nodes for one in every])
        return cls((int(nodes[:, 0].min()), int(nodes[:, 1].max())), **parts)

    def differences(
        self, data: Data, names: Sequence[str] = (), *, slack: float = 0.05
    ) -> list[str]:
        """What of a case lies outside, one sentence each.

        Args:
            data: The case, on the CPU.
            names: Names of the input channels.
            slack: Share of a range by which it may be left.

        Raises:
            ValueError: If the case has other dimensions or channels.
        """
        case = type(self).of(data)
        for what, known, got in (("dimensions", self.pos, case.pos), ("channels", self.x, case.x)):
            if len(known) != len(got):
                raise ValueError(f"expected {len(known)} {what}, as in training (got {len(got)})")
        found = []
        low, high = self.num_nodes
        # Twice the nodes on a mesh of the same size is another resolution, not more of the same.
        if case.num_nodes[0] > 2 * high or 2 * case.num_nodes[0] < low:
            found.append(f"{case.num_nodes[0]:,} nodes, trained on {low:,} to {high:,}")
        labels = {
            "pos": [f"coordinate {'xyz'[i] if i < 3 else i}" for i in range(len(self.pos))],
            "extent": [f"size along {'xyz'[i] if i < 3 else i}" for i in range(len(self.pos))],
            "x": [f"input channel {i}" for i in range(len(self.x))],
        }
        if len(names) == len(self.x):
            labels["x"] = [*names]
        # A channel that does not vary still has its rounding; so has a flat mesh in its plane.
        reach = max(max(map(abs, bounds)) for bounds in self.pos)
        for key, titles in labels.items():
            for title, known, got in zip(
                titles, getattr(self, key), getattr(case, key), strict=True
            ):
                scale = max(map(abs, known)) if key == "x" else reach
                room = max(slack * (known[1] - known[0]), 1e-5 * scale)
                if got[0] < known[0] - room or got[1] > known[1] + room:
                    found.append(f"{title} {_span(got)}, trained on {_span(known)}")
        return found

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Self:
        """Reads what :meth:`to_dict` made."""
        pairs = {key: [tuple(pair) for pair in values[key]] for key in ("pos", "extent", "x")}
        return cls(tuple(values["num_nodes"]), **pairs)


def _bounds(low: Any, high: Any) -> list[Bounds]:
    return [(float(a), float(b)) for a, b in zip(low, high, strict=True)]


def _span(bounds: Bounds) -> str:
    low, high = bounds
    return f"{low:.4g}" if low == high else f"{low:.4g} to {high:.4g}"
