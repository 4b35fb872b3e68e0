import pytest
import torch

from flare_mesh.models import build
from flare_mesh.uncertainty import LatentMoments

OPTIONS = {"in_channels": 1, "out_channels": 2, "pos_dim": 2, "hidden_channels": 8, "heads": 2}


@pytest.mark.parametrize("name", ["flare", "gnot", "lno", "perceiver_io", "transolver"])
def test_moments_of_every_model_in_a_batch(name):
    torch.manual_seed(0)
    model = build(name, **OPTIONS, num_layers=1).eval()
    sizes = [5, 9]
    x, pos, batch = torch.randn(14, 1), torch.rand(14, 2), torch.tensor([0] * 5 + [1] * 9)
    weight = torch.rand(9)
    with torch.no_grad(), LatentMoments(model, sizes, [None, weight]) as both:
        y = model(x, pos, batch)
    # The hidden features give the output again.
    last = [m for m in model.modules() if isinstance(m, torch.nn.Linear) and m.out_features == 2]
    mean, deviation = both.moments(0)
    with torch.no_grad():
        torch.testing.assert_close(last[-1](mean.float()), y[:5].mean(0), atol=1e-5, rtol=1e-4)
    assert bool((deviation > 0).any())
    with torch.no_grad(), LatentMoments(model, [9], [weight]) as alone:
        model(x[5:], pos[5:])
    torch.testing.assert_close(both.moments(1), alone.moments(0), atol=1e-6, rtol=1e-5)


def test_moments_do_not_depend_on_chunks_or_later_steps():
    torch.manual_seed(0)
    model = build("flare", **OPTIONS, num_layers=1, num_latents=3).eval()
    x, pos = torch.randn(13, 1), torch.rand(13, 2)
    found = []
    for size in (None, 4):
        with torch.no_grad(), LatentMoments(model, [13], [None]) as latent:
            model(x, pos, chunk_size=size)
            model(3 * x, pos, chunk_size=size)
        found.append(latent.moments(0))
    torch.testing.assert_close(found[0], found[1], atol=1e-6, rtol=1e-5)
    assert not model.head.layers[-1]._forward_pre_hooks
