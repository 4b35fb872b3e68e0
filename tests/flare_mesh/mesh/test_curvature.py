import numpy as np
import pytest
import torch
import trimesh

from flare_mesh.mesh.curvature import mean_curvature


@pytest.mark.parametrize("subdivisions", [2, 4])
def test_a_sphere(subdivisions):
    """The inverse of its radius, negative if the normals point inward."""
    ball = trimesh.creation.icosphere(subdivisions=subdivisions, radius=4.0)
    pos, faces = torch.from_numpy(np.array(ball.vertices)), torch.from_numpy(ball.faces.copy())
    curvature = mean_curvature(pos, {"triangle": faces})
    error = 4.0 * curvature - 1
    assert float(error.square().mean().sqrt()) < 0.025
    assert float(error.abs().max()) < 0.07
    inward = mean_curvature(pos, {"triangle": faces.flip(1)})
    torch.testing.assert_close(inward, -curvature)


@pytest.mark.parametrize("kind", ["quad", "quad9"])
def test_a_cylinder(kind):
    """1 / (2 R) away from its ends, also with curved faces."""
    rings, steps = 9, 24
    angle = 2 * np.pi * np.arange(steps) / steps
    z = np.linspace(0, 3, rings)
    place = np.stack(np.broadcast_arrays(np.cos(angle), np.sin(angle), z[:, None]), axis=2)
    pos = torch.from_numpy(2 * place.reshape(-1, 3))
    number = np.arange(rings * steps).reshape(rings, steps)

    def at(i, j):
        return number[i : rings + i - span : span][:, (np.arange(0, steps, span) + j) % steps]

    span = 1 if kind == "quad" else 2
    corners = [at(0, 0), at(0, span), at(span, span), at(span, 0)]
    middles = [at(0, 1), at(1, 2), at(2, 1), at(1, 0), at(1, 1)] if span == 2 else []
    cells = np.stack([*corners, *middles], axis=2).reshape(-1, 4 + len(middles))
    curvature = mean_curvature(pos, {kind: torch.from_numpy(cells)})
    inside = (pos[:, 2] > 0.5) & (pos[:, 2] < 5.5)
    expected = torch.full((int(inside.sum()),), 0.25, dtype=torch.float64)
    torch.testing.assert_close(curvature[inside], expected, rtol=0.02, atol=0)


def test_a_flat_surface_and_nodes_without_faces():
    pos = torch.tensor([[0.0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 1, 1], [9, 9, 9]])
    curvature = mean_curvature(pos, {"triangle": torch.tensor([[0, 1, 2], [1, 3, 2]])})
    assert curvature.tolist() == [0.0] * 5
