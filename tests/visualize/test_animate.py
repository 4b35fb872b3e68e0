import re

import numpy as np
import pytest
import torch
from PIL import Image

from flare_mesh import MeshData
from flare_mesh.prediction.result import Prediction
from flare_mesh.visualize import animate, plot_field
from flare_mesh.visualize.series import series_frames
from lpbf import HexMesh, Result
from lpbf.core.result import LayerState

SIZE = (160, 120)


@pytest.fixture
def result():
    """Two layers of 2 x 2 voxels, and the part after each of them."""
    mesh = HexMesh.from_mask(np.ones((2, 2, 2)), 1.0)
    states = []
    for number, (cells, nodes) in enumerate([(4, 18), (8, 27)]):
        u = np.zeros((nodes, 3), np.float32)
        u[:, 0] = 0.1 * (number + 1)
        scalar = np.full(nodes, 10.0 * (number + 1), np.float32)
        fields = {"displacement": u, "von_mises": scalar, "temperature": scalar}
        states.append(LayerState(number, f"layer {number}", number + 1.0, cells, nodes, **fields))
    zero = {
        "displacement": np.zeros((27, 3)),
        "stress": np.ones((27, 6)),
        "temperature": np.ones(27),
    }
    return Result(mesh, **zero, history=tuple(states))


def test_a_result_as_a_mesh(result):
    done, first = result.to_mesh(), result.to_mesh(0)
    assert (done.num_cells, first.num_cells) == (8, 4)
    assert {*done.node_fields} >= {"displacement", "von_mises", "stress", "temperature"}
    assert done.units["von_mises"] == "MPa"
    assert torch.equal(result.to_mesh(-1).temperature, torch.full((27,), 20.0))
    with pytest.raises(ValueError, match=r"a step from -2 to 1 \(got 2\)"):
        result.to_mesh(2)
    with pytest.raises(ValueError, match="no history; simulate with history=True"):
        Result(result.mesh, result.displacement, result.stress, result.temperature).to_mesh(0)


def test_a_prediction_as_a_mesh():
    mesh = MeshData(torch.rand(4, 3), tetra=torch.tensor([[0, 1, 2, 3]]))
    predicted = {"u": torch.arange(8.0).reshape(4, 2)}
    series = Prediction(
        "a", mesh, predicted, {"u": predicted["u"][:, :1]}, {"u": "mm"}, times=(1.0, 2.0)
    )
    second = series.to_mesh(1)
    assert torch.equal(second.predicted_u, torch.tensor([1.0, 3.0, 5.0, 7.0]))
    assert "u" not in second.node_fields  # its truth is known of the first step alone
    assert torch.equal(series.to_mesh(0).error_u, torch.zeros(4))
    with pytest.raises(ValueError, match="has 2 time steps, of which one must be chosen"):
        plot_field(series, "predicted_u")
    assert [frame.caption for frame in series_frames(series, "predicted_u")] == ["time 1", "time 2"]


def test_a_build_layer_by_layer(result, tmp_path):
    path = tmp_path / "build.gif"
    animate(result, "temperature", path=path, size=SIZE, fps=5, view="xz")
    with Image.open(path) as film:
        assert (film.n_frames, film.size, film.info["duration"]) == (2, SIZE, 200)
        pictures = []
        for number in range(2):
            film.seek(number)
            pictures.append(np.asarray(film.convert("RGB")).astype(int))
    # The upper layer is white at first; both have the colours of one range from 10 to 20.
    part = [np.abs(one[10:100, 10:-10] - 255).sum(axis=-1) > 60 for one in pictures]
    assert 1.8 < part[1].sum() / part[0].sum() < 2.2
    violet, yellow = (
        one[mask.nonzero()[0] + 10, mask.nonzero()[1] + 10]
        for one, mask in zip(pictures, part, strict=True)
    )
    assert np.median(violet[:, 2]) > np.median(violet[:, 1])
    assert np.median(yellow[:, 1]) > np.median(yellow[:, 2])


def test_fields_on_one_mesh_and_files(result, tmp_path):
    mesh = result.to_mesh()
    fields = [mesh.pos[:, 0], mesh.pos[:, 1], mesh.pos[:, 2]]
    assert len(series_frames(mesh, fields)) == 3
    result.save_series(tmp_path / "a.pvd")
    frames = series_frames(tmp_path / "a.pvd", "von_mises")
    assert [(frame.caption, frame.grid().n_cells) for frame in frames] == [
        ("time 0", 4),
        ("time 1", 8),
    ]
    plotter = plot_field(tmp_path / "a.pvd", "von_mises", step=0, size=SIZE)
    assert plotter is not None
    plotter.close()


@pytest.mark.parametrize(
    ("field", "options", "message"),
    [
        ("von_mises", {"path": "a.avi"}, "a.avi: expected the name of an animation"),
        ("von_mises", {"fps": 0}, "expected fps above 0"),
        ("von_mises", {"step": 1}, "animate has no option 'step'"),
        ([np.zeros(27)] * 3, {}, "expected 2 fields, one for each mesh (got 3)"),
        ("mises", {}, "no field 'mises'; did you mean 'von_mises'?"),
    ],
)
def test_bad_input(result, tmp_path, field, options, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        animate(result, field, **{"path": tmp_path / "a.gif", "size": SIZE, **options})
    with pytest.raises(ValueError, match="expected a series of several meshes or fields"):
        animate(result.to_mesh(), "von_mises", path=tmp_path / "a.gif")
    assert not [*tmp_path.iterdir()]


@pytest.mark.slow
def test_mp4(result, tmp_path):
    from imageio_ffmpeg import count_frames_and_secs

    animate(result, "temperature", path=tmp_path / "a.mp4", size=(161, 121), fps=4)
    assert count_frames_and_secs(str(tmp_path / "a.mp4"))[0] == 2
