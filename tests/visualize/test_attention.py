import numpy as np
import pytest
import torch

from flare_mesh import MeshData
from flare_mesh.analysis import AttentionMaps
from flare_mesh.visualize import plot_attention


@pytest.fixture
def square():
    pos = torch.tensor([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]])
    return MeshData(pos, triangle=torch.tensor([[0, 1, 2], [1, 3, 2]]))


def maps():
    generator = torch.Generator().manual_seed(0)
    scores = torch.rand(2, 3, 4, generator=generator)
    return AttentionMaps(scores.softmax(-1), scores.mT.softmax(-1))


def test_the_weights_of_a_latent_are_painted(square):
    found = maps()
    plotter = plot_attention(square, found, 2, head=1, size=(200, 100))
    shown = [
        np.asarray(actor.mapper.dataset.active_scalars).ravel()
        for renderer in plotter.renderers
        for actor in renderer.actors.values()
        if getattr(getattr(actor, "mapper", None), "scalar_visibility", False)
    ]
    np.testing.assert_allclose(shown[0], 4 * found.encode[1, 2], rtol=1e-6)
    np.testing.assert_allclose(shown[1], found.decode[1, :, 2], rtol=1e-6)
    plotter.close()


def test_a_picture_is_written(square, tmp_path):
    assert plot_attention(square, maps(), 0, path=tmp_path / "a.png", size=(200, 100)) is None
    assert (tmp_path / "a.png").stat().st_size > 500


def test_what_is_not_there(square):
    with pytest.raises(ValueError, match=r"latent: expected a number from 0 to 2 \(got 3\)"):
        plot_attention(square, maps(), 3)
    with pytest.raises(ValueError, match=r"head: expected a number from 0 to 1 \(got -1\)"):
        plot_attention(square, maps(), 0, head=-1)
    other = MeshData(square.pos[:3])
    with pytest.raises(ValueError, match=r"maps of a mesh of 3 nodes \(got those of 4\)"):
        plot_attention(other, maps(), 0)
