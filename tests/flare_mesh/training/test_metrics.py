import pytest
import torch

from flare_mesh.training import relative_l2


def test_each_graph_and_field():
    target = torch.tensor([[3.0, 4, 2], [0, 0, 2], [1, 0, 1]])
    prediction = torch.tensor([[3.0, 4, 1], [0, 5, 2], [1, 0, 4]])
    errors = relative_l2(prediction, target, [2, 1], torch.tensor([0, 0, 1]))
    expected = torch.tensor([[5 / 5, 1 / 8**0.5], [0.0, 3.0]])
    torch.testing.assert_close(errors, expected)
    one = relative_l2(prediction[:2], target[:2], [2, 1])
    torch.testing.assert_close(one, expected[:1])


def test_weights_count_nodes():
    """A node of weight 3 is three nodes; the weights' scale drops out."""
    target, prediction = torch.randn(2, 4, 3, dtype=torch.float64).unbind()
    counts = torch.tensor([3, 1, 2, 1])
    batch = torch.tensor([0, 0, 1, 1])
    want = relative_l2(
        prediction.repeat_interleave(counts, 0),
        target.repeat_interleave(counts, 0),
        [1, 2],
        batch.repeat_interleave(counts),
    )
    got = relative_l2(prediction, target, [1, 2], batch, weight=0.1 * counts, batch_size=2)
    torch.testing.assert_close(got, want)


def test_exact_prediction_has_a_finite_gradient():
    target = torch.ones(3, 2)
    prediction = target.clone().requires_grad_()
    relative_l2(prediction, target, [2]).sum().backward()
    assert prediction.grad is not None
    assert bool(prediction.grad.isfinite().all())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_summed_in_float32(dtype):
    target = torch.full((4096, 1), 256.0, dtype=dtype)  # its square is beyond half precision
    prediction = target * 2
    assert relative_l2(prediction, target, [1]) == torch.tensor([[1.0]])


def test_bad_shapes():
    with pytest.raises(ValueError, match=r"of shape \[N, 2\] \(got \[3, 2\] and \[3, 1\]\)"):
        relative_l2(torch.zeros(3, 2), torch.zeros(3, 1), [2])
    with pytest.raises(ValueError, match=r"of shape \[N, 1\] \(got \[3\] and \[3\]\)"):
        relative_l2(torch.zeros(3), torch.zeros(3), [1])
    with pytest.raises(ValueError, match=r"'weight' of shape \[3\] \(got \[3, 1\]\)"):
        relative_l2(torch.zeros(3, 1), torch.zeros(3, 1), [1], weight=torch.ones(3, 1))
