import pytest
import torch

from flare_mesh.models import CausalLM


@pytest.fixture(params=[0, 3])
def model(request):
    torch.manual_seed(0)
    options = {"channels": 12, "num_layers": 2, "heads": 3, "num_latents": 4}
    return CausalLM(9, kernel_size=request.param, **options).double()


def tokens(count):
    return torch.randint(9, (count,), generator=torch.Generator().manual_seed(1))


def test_sequences_of_a_batch_are_read_alone(model):
    text, ptr = tokens(17), torch.tensor([0, 6, 6, 17])
    parts = [model(text[:6]), model(text[6:])]
    torch.testing.assert_close(model(text, ptr=ptr), torch.cat(parts))


def test_a_token_sees_those_before_it_and_their_order(model):
    text = tokens(8)
    changed = text.clone()
    changed[5] = (changed[5] + 1) % 9
    before, after = model(text), model(changed)
    torch.testing.assert_close(before[:5], after[:5], rtol=0, atol=0)
    assert (before[5:] - after[5:]).abs().amax(1).min() > 1e-9


def test_generation_reads_as_one_call(model):
    prompt = tokens(5)
    new = model.generate(prompt, 12, temperature=0)
    scores = model(torch.cat([prompt, new]))
    torch.testing.assert_close(new, scores[4:-1].argmax(-1), rtol=0, atol=0)
    drawn = [
        model.generate(prompt, 12, generator=torch.Generator().manual_seed(3)) for _ in range(2)
    ]
    assert torch.equal(*drawn)


def test_state_of_several_sequences(model):
    text = tokens(14)
    whole = model(text, ptr=torch.tensor([0, 7, 14]))
    first = torch.cat([text[:4], text[7:9]])
    _, state = model.read(first, ptr=torch.tensor([0, 4, 6]))
    rest = torch.cat([text[4:7], text[9:]])
    scores, _ = model.read(rest, state, ptr=torch.tensor([0, 3, 8]))
    torch.testing.assert_close(scores, torch.cat([whole[4:7], whole[9:]]))


def test_every_parameter_gets_a_gradient_and_saving_keeps_the_scores(model, tmp_path):
    loss = torch.nn.functional.cross_entropy(model(tokens(20))[:-1], tokens(20)[1:])
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
    model.save(tmp_path)
    again = CausalLM.load(tmp_path).double()
    model.load_state_dict(model.float().double().state_dict())
    # Last bits of matrix products depend on where the weights lie in memory.
    torch.testing.assert_close(again(tokens(20)), model(tokens(20)), rtol=1e-12, atol=1e-13)


def test_published_size():
    with torch.device("meta"):
        model = CausalLM(
            32_000, channels=1024, num_layers=24, heads=16, num_latents=16,
            mlp_channels=2816, kernel_size=0,
        )  # fmt: skip
    assert sum(p.numel() for p in model.parameters()) == 316_326_912


def test_bad_input(model):
    with pytest.raises(ValueError, match="tokens from 0 to 8"):
        model(torch.tensor([3, 9]))
    with pytest.raises(ValueError, match="shape"):
        model(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="at least one token"):
        model.generate(tokens(0), 4)
    with pytest.raises(ValueError, match="heads"):
        CausalLM(9, channels=10, heads=4)
