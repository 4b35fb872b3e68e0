import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from lpbf.mechanics.rigid_motions import rigid_motions


def cloud(count, seed, offset=0.0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(count, 3, generator=generator, dtype=torch.float64) * 10 + offset


@settings(deadline=None, max_examples=15)
@given(st.integers(4, 40), st.integers(0, 1000), st.sampled_from([0.0, 1e4]))
def test_they_are_orthonormal_and_hold_every_rigid_motion(count, seed, offset):
    points = cloud(count, seed, offset)
    free = torch.ones(count + 2, dtype=torch.bool)
    free[[0, -1]] = False
    points = torch.cat([points[:1] + 50, points, points[:1] - 70])
    motions = rigid_motions(points, free)
    assert motions.shape == (3 * (count + 2), 6)
    torch.testing.assert_close(motions.T @ motions, torch.eye(6, dtype=torch.float64))
    assert motions.view(3, -1, 6)[:, ~free].abs().max() < 1e-14

    shift, axis = cloud(2, seed + 1) / 10
    field = (shift + torch.linalg.cross(axis.expand_as(points), points)) * free[:, None]
    flat = field.T.flatten()
    rest = flat - motions @ (motions.T @ flat)
    assert rest.norm() <= 1e-9 * flat.norm()


def test_a_strain_is_no_rigid_motion():
    points = cloud(20, 0)
    motions = rigid_motions(points, torch.ones(20, dtype=torch.bool))
    flat = (points - points.mean(0)).T.flatten()
    torch.testing.assert_close(motions.T @ flat, torch.zeros(6).double(), rtol=0, atol=1e-9)
