import math

import pytest
import torch
from torch_geometric.data import Data

from flare_mesh.data.transforms import RandomRotation


def case(dim=3, nodes=12):
    generator = torch.Generator().manual_seed(0)
    columns = {"pos": dim, "y": dim + 2, "stress": dim * (dim + 1) // 2}
    return Data(
        **{
            key: torch.randn(nodes, count, generator=generator, dtype=torch.float64)
            for key, count in columns.items()
        }
    )


def rotation_of(before, after):
    return torch.linalg.lstsq(before, after).solution.T


def full(stress):
    if stress.shape[1] == 3:
        xx, yy, xy = stress.T
        return torch.stack([xx, xy, xy, yy], 1).view(-1, 2, 2)
    xx, yy, zz, xy, yz, xz = stress.T
    return torch.stack([xx, xy, xz, xy, yy, yz, xz, yz, zz], 1).view(-1, 3, 3)


@pytest.mark.parametrize("dim", [2, 3])
def test_positions_vectors_and_tensors_rotate_together(dim):
    torch.manual_seed(0)
    data = case(dim)
    rotated = RandomRotation(vectors={"y": (1,)}, tensors={"stress": (0,)})(data)
    matrix = rotation_of(data.pos, rotated.pos)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(dim, dtype=torch.float64))
    assert float(torch.linalg.det(matrix)) == pytest.approx(1.0)
    assert not torch.allclose(matrix, torch.eye(dim, dtype=torch.float64), atol=0.1)
    torch.testing.assert_close(rotated.y[:, 1 : 1 + dim], data.y[:, 1 : 1 + dim] @ matrix.T)
    assert torch.equal(rotated.y[:, 0], data.y[:, 0])
    assert torch.equal(rotated.y[:, -1], data.y[:, -1])
    torch.testing.assert_close(full(rotated.stress), matrix @ full(data.stress) @ matrix.T)


def test_invariants_of_stress():
    torch.manual_seed(1)
    data = case()
    rotated = RandomRotation(tensors={"stress": (0,)})(data)
    before, after = (torch.linalg.eigvalsh(full(d.stress)) for d in (data, rotated))
    torch.testing.assert_close(after, before)


def test_several_vectors_of_a_field():
    torch.manual_seed(2)
    data = case()
    data.x = torch.cat([data.pos, data.y[:, :1], data.pos], dim=1)
    rotated = RandomRotation("z", vectors={"x": (0, 4)})(data)
    assert torch.equal(rotated.x[:, :3], rotated.pos)
    assert torch.equal(rotated.x[:, 4:], rotated.pos)
    assert torch.equal(rotated.x[:, 3], data.x[:, 3])


@pytest.mark.parametrize("axis", ["x", "y", "z", (1.0, 2.0, -0.5)])
def test_about_an_axis(axis):
    torch.manual_seed(3)
    direction = torch.eye(3)["xyz".index(axis)] if isinstance(axis, str) else torch.tensor(axis)
    direction = direction.double()
    data = case()
    rotated = RandomRotation(axis)(data)
    torch.testing.assert_close(rotated.pos @ direction, data.pos @ direction)
    assert not torch.allclose(rotated.pos, data.pos, atol=0.1)


def test_angles_about_an_axis_are_uniform():
    torch.manual_seed(4)
    data = Data(pos=torch.tensor([[1.0, 0.0, 0.0]]))
    rotation = RandomRotation("z")
    points = torch.cat([rotation(data).pos for _ in range(1000)])
    angles = torch.atan2(points[:, 1], points[:, 0]) / (2 * math.pi) % 1
    # Kolmogorov and Smirnov: beyond 1.95 / sqrt(n) in one of a thousand trials.
    ranks = (torch.arange(1000) + 0.5) / 1000
    assert float((angles.sort().values - ranks).abs().max()) < 1.95 / 1000**0.5


def test_rotations_are_uniform():
    torch.manual_seed(5)
    data = Data(pos=torch.eye(3, dtype=torch.float64))
    rotation = RandomRotation()
    traces, points = [], []
    for _ in range(1000):
        pos = rotation(data).pos
        traces.append(float(pos.trace()))
        points.append(pos[2, 2])
    # Archimedes: each coordinate of a uniform direction is uniform in [-1, 1].
    ranks = (torch.arange(1000) + 0.5) / 1000
    heights = (torch.stack(points).sort().values + 1) / 2
    assert float((heights - ranks).abs().max()) < 1.95 / 1000**0.5
    # The angle of a uniform rotation has the density (1 - cos) / pi.
    angles = ((torch.tensor(traces).double() - 1) / 2).clamp(-1, 1).acos().sort().values
    assert float(((angles - angles.sin()) / math.pi - ranks).abs().max()) < 1.95 / 1000**0.5


def test_bad_axes():
    for bad in ("w", "xy"):
        with pytest.raises(ValueError, match="expected axis 'x', 'y' or 'z'"):
            RandomRotation(bad)
    for bad in ((0.0, 0.0, 0.0), (1.0, 0.0), (math.nan, 0.0, 1.0)):
        with pytest.raises(ValueError, match="direction of 3 numbers"):
            RandomRotation(bad)
    with pytest.raises(ValueError, match="expected axis=None"):
        RandomRotation("z")(case(2))
