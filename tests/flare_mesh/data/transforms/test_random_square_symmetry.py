import numpy as np
import pytest
import torch
from torch_geometric.data import Data

from flare_mesh.data.transforms import BuildFeatures, RandomSquareSymmetry
from flare_mesh.mesh.geometry import cell_measures
from lpbf import HexMesh, simulate


def test_features_and_distortion_are_those_of_the_rotated_part(tee, data_of):
    case = BuildFeatures()(data_of(tee, simulate(tee).displacement))
    seen = set()
    for seed in range(24):
        torch.manual_seed(seed)
        rotated = RandomSquareSymmetry()(case.clone())
        seen.add(tuple(rotated.pos[-1].tolist()) + tuple(rotated.pos[0].tolist()))
        index = np.rint((rotated.pos[tee.cells].mean(1).numpy() - 1) / 2)
        shift = index[:, :2].min(0)
        mask = np.zeros((4, 4, 3), dtype=bool)
        mask[tuple((index - [*shift, 0]).astype(int).T)] = True
        built = HexMesh.from_mask(mask, 2.0, origin=(2.0 * shift[0], 2.0 * shift[1], 0.0))
        truth = BuildFeatures()(data_of(built, simulate(built).displacement))
        order = np.lexsort(rotated.pos.T.numpy()), np.lexsort(truth.pos.T.numpy())
        for key in ("pos", "x", "y"):
            torch.testing.assert_close(rotated[key][order[0]], truth[key][order[1]])
    assert len(seen) == 8


def test_the_input_is_not_changed(tee, data_of):
    case = BuildFeatures()(data_of(tee, np.ones((len(tee.points), 3))))
    before = case.clone()
    for seed in range(8):
        torch.manual_seed(seed)
        RandomSquareSymmetry()(case.clone())
    assert torch.equal(case.pos, before.pos)
    assert torch.equal(case.x, before.x)


def test_no_cell_is_inverted(tee, data_of):
    data = data_of(tee)
    for seed in range(16):
        torch.manual_seed(seed)
        rotated = RandomSquareSymmetry({"pos": (0,)}, {})(data)
        volumes = cell_measures(rotated.pos, rotated.cells)["hexahedron"]
        torch.testing.assert_close(volumes, torch.full((len(tee.cells),), 8.0))


def test_missing_and_narrow_fields(tee, data_of):
    case = BuildFeatures()(data_of(tee, np.ones((len(tee.points), 3))))
    for field, values, message in (
        ("x", None, "expected 'x' as floating-point values"),
        ("y", case.y[:, :1], r"expected 'y' to have columns 0 to 1 \(got shape \[\d+, 1\]\)"),
        ("y", case.y[:, 0], "expected 'y' to have columns 0 to 1"),
        ("x", case.x[:, :10], "expected 'x' to have columns 9 to 10"),
    ):
        data = case.clone()
        data[field] = values
        with pytest.raises(ValueError, match=f"RandomSquareSymmetry: {message}"):
            RandomSquareSymmetry()(data)


def test_precision_is_preserved():
    pos = torch.rand(5, 3, dtype=torch.float64)
    rotated = RandomSquareSymmetry({"pos": (0,)}, {})(Data(pos=pos)).pos
    assert rotated.dtype == torch.float64
    assert torch.equal(rotated[:, :2].abs().sum(1), pos[:, :2].sum(1))


def test_fields_on_another_device():
    pos = torch.empty(5, 3, device="meta")
    assert RandomSquareSymmetry({"pos": (0,)}, {})(Data(pos=pos)).pos.device == pos.device
