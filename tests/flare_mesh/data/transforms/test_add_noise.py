import pytest
import torch
from torch_geometric.data import Batch, Data

from flare_mesh.data.transforms import AddNoise


def case():
    torch.manual_seed(0)
    return Data(
        pos=torch.zeros(20_000, 3),
        u=torch.randn(20_000, 2) * torch.tensor([1.0, 50.0]) + 7,
        p=torch.ones(20_000),
    )


def test_absolute():
    data = case()
    out = AddNoise({"u": 0.5, "p": 2.0})(data)
    noise = out.u - data.u
    # Four standard errors.
    assert noise.mean(0).tolist() == pytest.approx([0, 0], abs=4 * 0.5 / 20_000**0.5)
    assert noise.std(0).tolist() == pytest.approx([0.5, 0.5], rel=4 / 40_000**0.5)
    assert float((noise[:, 0] * noise[:, 1]).mean()) == pytest.approx(0, abs=0.25 * 4 / 141)
    assert float((out.p - 1).std()) == pytest.approx(2.0, rel=0.02)
    assert torch.equal(out.pos, data.pos)


def test_relative_to_each_channel():
    data = case()
    noise = AddNoise({"u": 0.1, "pos": 0.1}, relative=True)(data)
    expected = 0.1 * data.u.std(0)
    torch.testing.assert_close((noise.u - data.u).std(0), expected, rtol=0.02, atol=0)
    assert torch.equal(noise.pos, data.pos)  # constant: its deviation is 0


def test_batches_and_bad_input():
    batch = Batch.from_data_list([case(), case()])
    assert AddNoise({"p": 0.1})(batch).p.shape == (40_000,)
    with pytest.raises(ValueError, match=r"AddNoise\(relative=True\): expected a single mesh"):
        AddNoise({"p": 0.1}, relative=True)(batch)
    for bad in (-1.0, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="deviations >= 0"):
            AddNoise({"p": bad})
