import pytest
import torch

from flare_mesh.training.batched_muon import BatchedMuon, orthogonalize


def matrices(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]


def test_steps_are_those_of_torch():
    """To the rounding of bfloat16, in which torch computes the direction."""
    shapes = [(8, 6), (8, 6), (6, 8), (5, 5), (8, 6)]
    ours, theirs = matrices(*shapes), matrices(*shapes)
    options = {"lr": 0.02, "weight_decay": 0.1, "momentum": 0.9}
    one = BatchedMuon(ours, **options)
    two = torch.optim.Muon(theirs, adjust_lr_fn="match_rms_adamw", **options)
    generator = torch.Generator().manual_seed(1)
    for _ in range(4):
        for a, b in zip(ours[:-1], theirs[:-1], strict=True):  # the last one has no gradient
            a.grad = torch.randn(a.shape, generator=generator)
            b.grad = a.grad.clone()
        before = [b.detach().clone() for b in theirs]
        one.step()
        two.step()
        for a, b, old in zip(ours, theirs, before, strict=True):
            change = (b - old).abs().max()
            assert float((a - b).detach().abs().max()) <= 0.03 * float(change.detach())
            with torch.no_grad():
                a.copy_(b)  # each step is compared by itself
    assert torch.equal(ours[-1], matrices(*shapes)[-1])


@pytest.mark.parametrize("shape", [(4, 7), (7, 4)])
def test_direction_of_each_matrix(shape):
    """Against the polynomial of the singular values, in float64."""
    batch = torch.stack([m.detach() for m in matrices(shape, shape, shape)])
    for matrix, got in zip(batch, orthogonalize(batch), strict=True):
        left, values, right = torch.linalg.svd(matrix.double(), full_matrices=False)
        values = values / values.norm()
        for _ in range(5):
            values = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
        expected = left @ values.diag() @ right
        assert float((got - expected).abs().max()) < 1e-4


def test_a_zero_gradient_gives_no_step():
    (matrix,) = matrices((3, 3))
    matrix.grad = torch.zeros(3, 3)
    before = matrix.detach().clone()
    BatchedMuon([matrix], lr=0.1, weight_decay=0.0).step()
    assert torch.equal(matrix, before)
