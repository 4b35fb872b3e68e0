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


def test_exact_prediction_has_a_finite_gradient():
    target = torch.ones(3, 2)
    prediction = target.clone().requires_grad_()
    relative_l2(prediction, target, [2]).sum().backward()
    assert prediction.grad is not None
    assert bool(prediction.grad.isfinite().all())


def test_bad_shapes():
    with pytest.raises(ValueError, match=r"of shape \[N, 2\] \(got \[3, 2\] and \[3, 1\]\)"):
        relative_l2(torch.zeros(3, 2), torch.zeros(3, 1), [2])
