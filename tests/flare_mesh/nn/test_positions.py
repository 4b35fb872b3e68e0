import math

import pytest
import torch

from flare_mesh.nn.positions import box_of, rotation, sincos
from flare_mesh.ops.layout import Layout


def test_sincos():
    places = torch.tensor([[3.0, 50.0, 200.0]], dtype=torch.float64)
    got = sincos(places, 14)  # four channels for each axis, two of rest
    expected = []
    for p in places[0].tolist():
        angles = [p, p * 10_000 ** (-2 / 4)]
        expected += [*map(math.sin, angles), *map(math.cos, angles)]
    assert got[0].tolist() == pytest.approx([*expected, 0.0, 0.0])
    assert sincos(places.half(), 14).dtype == torch.float32


def test_rotated_scores_depend_on_the_difference_of_positions():
    generator = torch.Generator().manual_seed(0)
    query, key = torch.randn(2, 9, generator=generator, dtype=torch.float64)
    a, b, shift = 100 * torch.rand(3, 2, generator=generator, dtype=torch.float64)

    def score(a, b):
        turn = [rotation(p[None], 9) for p in (a, b)]
        q, k = (r(t[None, None])[0, 0] for r, t in zip(turn, (query, key), strict=True))
        return float(q @ k)

    assert score(a, b) == pytest.approx(score(a + shift, b + shift))
    assert abs(score(a, b) - score(a + shift, b)) > 1e-3
    # The angles, written out: two pairs of channels for each axis, the ninth channel is kept.
    angles = [p * 10_000 ** (-2 * i / 4) for p in a.tolist() for i in range(2)]
    expected = []
    for angle, (u, v) in zip(angles, query[:8].view(4, 2).tolist(), strict=True):
        turned = complex(u, v) * complex(math.cos(angle), math.sin(angle))
        expected += [turned.real, turned.imag]
    got = rotation(a[None], 9)(query[None, None])[0, 0].tolist()
    assert got == pytest.approx([*expected, float(query[8])])


def test_boxes():
    pos = torch.tensor([[1.0, 5.0], [3.0, 6.0], [7.0, 7.0]])
    layout = Layout(torch.tensor([0, 0, 2, 3]))
    own = box_of(pos, layout, 200.0, None).place(pos, layout)
    assert own.tolist() == [[0.0, 0.0], [200.0, 100.0], [0.0, 0.0]]
    fixed = box_of(pos, layout, 200.0, [1.0, 11.0]).place(pos, layout)
    assert fixed.tolist() == [[0.0, 80.0], [40.0, 100.0], [120.0, 120.0]]
