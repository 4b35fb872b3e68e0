import pytest
import torch

from flare_mesh.training.seeding import mix_seed, seed_step, seeded


def test_a_step_draws_as_after_manual_seed():
    seed = mix_seed(3, 1, 4)
    with seeded(0):
        torch.manual_seed(seed)
        expected = torch.rand(4)
        torch.rand(1)
        seed_step(seed, torch.device("cpu"))
        assert torch.equal(torch.rand(4), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_step_draws_on_the_gpu_as_after_manual_seed():
    torch.manual_seed(7)
    expected = torch.rand(4), torch.rand(4, device="cuda")
    seed_step(7, torch.device("cuda", 0))
    assert torch.equal(torch.rand(4), expected[0])
    assert torch.equal(torch.rand(4, device="cuda"), expected[1])
