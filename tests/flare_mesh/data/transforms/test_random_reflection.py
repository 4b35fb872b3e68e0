import pytest
import torch
from torch_geometric.data import Data

from flare_mesh import MeshData
from flare_mesh.data.transforms import RandomReflection
from flare_mesh.mesh.geometry import cell_measures
from flare_mesh.testing.cells import mixed_mesh


def test_all_combinations_of_the_axes_are_equally_frequent():
    torch.manual_seed(0)
    data = Data(pos=torch.ones(1, 3))
    reflect = RandomReflection("xz")
    seen = torch.cat([reflect(data).pos for _ in range(400)])
    signs, counts = seen.unique(dim=0, return_counts=True)
    assert signs.tolist() == [[-1, 1, -1], [-1, 1, 1], [1, 1, -1], [1, 1, 1]]
    assert int(counts.min()) > 70  # 100 +- 3.5 * 8.7
    every = torch.cat([RandomReflection()(data).pos for _ in range(200)]).unique(dim=0)
    assert len(every) == 8


@pytest.mark.parametrize("seed", range(8))
def test_vectors_and_tensors_are_reflected_and_no_cell_is_inverted(seed):
    pos, cells = mixed_mesh()
    data = MeshData(pos=pos, **cells)
    torch.manual_seed(9)
    data.stress = torch.randn(len(pos), 6, dtype=torch.float64)
    data.y = torch.randn(len(pos), 4, dtype=torch.float64)
    data.x = torch.arange(float(len(pos)))
    torch.manual_seed(seed)
    out = RandomReflection(vectors={"y": (1,)}, tensors={"stress": (0,)})(data)
    x, y, z = sign = out.y[0, 1:] / data.y[0, 1:]
    torch.testing.assert_close(sign.abs(), torch.ones(3, dtype=torch.float64))
    assert torch.equal(out.pos, data.pos * sign)
    assert torch.equal(out.y[:, 1:], data.y[:, 1:] * sign)
    assert torch.equal(out.y[:, 0], data.y[:, 0])
    one = x * x
    assert torch.equal(out.stress, data.stress * torch.stack([one, one, one, x * y, y * z, x * z]))
    assert torch.equal(out.x, data.x)
    for kind, measure in cell_measures(out.pos, out.cells).items():
        torch.testing.assert_close(measure, cell_measures(pos, cells)[kind])


def test_flat_positions():
    data = Data(pos=torch.ones(1, 2))
    torch.manual_seed(0)
    seen = torch.cat([RandomReflection("y")(data).pos for _ in range(30)]).unique(dim=0)
    assert seen.tolist() == [[1, -1], [1, 1]]
    with pytest.raises(ValueError, match=r"positions \[N, 2\] have no axes 'z'"):
        RandomReflection("z")(data)
    for bad in ("", "w"):
        with pytest.raises(ValueError, match="some of the axes 'xyz'"):
            RandomReflection(bad)
