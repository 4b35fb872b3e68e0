import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flare_mesh.data.transforms.orthogonal import voigt_matrix

ORDER = {2: [(0, 0), (1, 1), (0, 1)], 3: [(0, 0), (1, 1), (2, 2), (0, 1), (1, 2), (0, 2)]}


@settings(deadline=None, max_examples=30)
@given(dim=st.sampled_from([2, 3]), seed=st.integers(0, 2**16))
def test_components_turn_as_the_full_tensor(dim, seed):
    generator = torch.Generator().manual_seed(seed)
    matrix, tensor = torch.randn(2, dim, dim, generator=generator, dtype=torch.float64)
    matrix = torch.linalg.qr(matrix).Q
    tensor = tensor + tensor.T
    turned = matrix @ tensor @ matrix.T

    def components(full):
        return torch.stack([full[i, j] for i, j in ORDER[dim]])

    torch.testing.assert_close(voigt_matrix(matrix) @ components(tensor), components(turned))
