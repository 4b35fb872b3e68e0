import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data

from flare_mesh import MeshData
from flare_mesh.data.transforms.orthogonal import reflect_orientation, voigt_matrix
from flare_mesh.mesh.geometry import cell_measures
from flare_mesh.testing.cells import mixed_mesh, unit_mesh

ORDER = {2: [(0, 0), (1, 1), (0, 1)], 3: [(0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2)]}


@settings(deadline=None, max_examples=30)
@given(dim=st.sampled_from([2, 3]), seed=st.integers(0, 2**16))
def test_components_rotate_as_the_full_tensor(dim, seed):
    generator = torch.Generator().manual_seed(seed)
    matrix, tensor = torch.randn(2, dim, dim, generator=generator, dtype=torch.float64)
    matrix = torch.linalg.qr(matrix).Q
    tensor = tensor + tensor.T
    rotated = matrix @ tensor @ matrix.T

    def components(full):
        return torch.stack([full[i, j] for i, j in ORDER[dim]])

    torch.testing.assert_close(voigt_matrix(matrix) @ components(tensor), components(rotated))


@pytest.mark.parametrize("order", [1, 2])
def test_reflected_cells_keep_their_measure(order):
    pos, cells = mixed_mesh(order)
    data = MeshData(pos=pos * torch.tensor([-1.0, 1.0, 1.0]), **cells)
    reflect_orientation(data)
    before, after = cell_measures(pos, cells), cell_measures(data.pos, data.cells)
    assert list(after) == list(before)
    for kind in before:
        torch.testing.assert_close(after[kind], before[kind])


def test_two_reflections_restore_the_cells():
    pos, cells = mixed_mesh()
    data = MeshData(pos=pos, **cells)
    data.cell_number = torch.arange(4)
    index = data.cell_index
    reflect_orientation(data)
    assert not torch.equal(data.cell_index, index)
    reflect_orientation(data)
    assert torch.equal(data.cell_index, index)
    assert data.cell_number.tolist() == [0, 1, 2, 3]


def test_batches_and_faces():
    pos, cells = unit_mesh("tetra")
    data = MeshData(pos=pos * -1, **cells)
    batch = Batch.from_data_list([data, data])
    reflect_orientation(batch)
    reflect_orientation(data)
    assert torch.equal(batch.to_data_list()[1].cell_index, data.cell_index)
    plain = Data(pos=torch.zeros(3, 3), face=torch.tensor([[0], [1], [2]]))
    reflect_orientation(plain)
    assert plain.face.T.tolist() == [[0, 2, 1]]
