"""Predictions that are averaged over the symmetries of the square."""

import pytest
import torch
from torch_geometric.data import Batch, Data

from flare_mesh import FLAREOperator
from flare_mesh.surrogate.exported_field import ExportedField
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.testing import random_graph

# x: a scalar, a vector in space and two lengths; y: a scalar and a vector in space.
SYMMETRY = {"vectors": {"pos": [0], "x": [1], "y": [1]}, "sizes": {"x": [4]}}
QUARTER = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
MIRROR = torch.tensor([[-1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
GROUP = [
    torch.linalg.matrix_power(QUARTER, turns) @ torch.linalg.matrix_power(MIRROR, flips)
    for turns in range(4)
    for flips in range(2)
]


def surrogate(symmetry=SYMMETRY):
    torch.manual_seed(0)
    model = FLAREOperator(6, 4, hidden_channels=8, num_layers=1, heads=2, num_latents=3)
    found = Surrogate(model, {"p": 1, "u": 3}, square_symmetry=symmetry).double().eval()
    cases = [random_graph(9, 6, seed=i, dtype=torch.float64) for i in range(2)]
    for case in cases:
        case.y = torch.randn(9, 4, dtype=torch.float64) + 3
    found.fit_normalizers(cases)
    return found


def moved(case, matrix):
    """The rotated or reflected case."""
    pos, x = case.pos.clone(), case.x.clone()
    pos[:, :2] = pos[:, :2] @ matrix.T
    x[:, 1:3] = x[:, 1:3] @ matrix.T
    x[:, 4:6] = x[:, 4:6] @ matrix.abs().T
    return Data(pos=pos, x=x)


def turned(y, matrix):
    return torch.cat([y[:, :1], y[:, 1:3] @ matrix.T, y[:, 3:]], 1)


def test_a_prediction_is_equivariant():
    case = random_graph(11, 6, seed=5, dtype=torch.float64)
    averaged, plain = surrogate(), surrogate(None)
    with torch.no_grad():
        expected = averaged(case)
        for matrix in GROUP:
            got = averaged(moved(case, matrix))
            torch.testing.assert_close(got, turned(expected, matrix), rtol=0, atol=1e-13)
        # The model alone is not.
        difference = plain(moved(case, QUARTER)) - turned(plain(case), QUARTER)
        assert difference.abs().max() > 1e-2
        mean = sum(turned(plain(moved(case, m)), m.T) for m in GROUP) / 8
        torch.testing.assert_close(expected, mean, rtol=0, atol=1e-13)


def test_prediction_batches_and_export_average_and_training_does_not():
    averaged, plain = surrogate(), surrogate(None)
    cases = [random_graph(n, 6, seed=n, dtype=torch.float64) for n in (5, 1, 7)]
    single = [torch.cat([*averaged.predict(case).values()], 1) for case in cases]
    many = averaged.predict_prepared(cases)
    batch: Batch = Batch.from_data_list(cases)
    for one, other in zip(single, many, strict=True):
        torch.testing.assert_close(torch.cat([*other.values()], 1), one)
    torch.testing.assert_close(averaged(batch), torch.cat(single))
    with torch.no_grad():
        torch.testing.assert_close(averaged(batch, chunk_size=2), torch.cat(single))
    exported = ExportedField(averaged, None)
    torch.testing.assert_close(exported(x=cases[0].x, pos=cases[0].pos), single[0])
    with averaged.without_average():
        assert torch.equal(averaged(batch), plain(batch))
    assert not torch.equal(averaged(batch), plain(batch))
    assert torch.equal(averaged.train()(batch), plain.train()(batch))


def test_the_file_has_the_columns_and_no_more_weights(tmp_path):
    averaged, case = surrogate().float(), random_graph(6, 6)
    assert averaged.state_dict().keys() == surrogate(None).state_dict().keys()
    averaged.save(tmp_path)
    loaded = Surrogate.load(tmp_path)
    assert loaded.square_symmetry == SYMMETRY
    for name, values in averaged.predict(case).items():
        assert torch.equal(loaded.predict(case)[name], values)


@pytest.mark.parametrize(
    ("vectors", "sizes", "message"),
    [
        ({"pos": [0], "z": [0]}, {}, r"no columns of \['z'\]; expected fields among"),
        ({"x": [1]}, {}, r"expected vectors \{'pos': \[0\]\}, since the coordinates are a vector"),
        ({"pos": [0], "x": [5]}, {}, r".* columns of 'x' that do not overlap, among its 6 ch"),
        ({"pos": [0], "x": [1]}, {"x": [2]}, r".* not overlap.* \(got the first columns \[1, 2\]"),
        ({"pos": [0], "y": [-1]}, {}, r"expected columns >= 0"),
    ],
)
def test_bad_columns(vectors, sizes, message):
    with pytest.raises(ValueError, match=f"square_symmetry: {message}"):
        surrogate({"vectors": vectors, "sizes": sizes})


def test_a_misspelt_option():
    with pytest.raises(ValueError, match="no option 'vector'; did you mean 'vectors'"):
        surrogate({"vector": {"pos": [0]}})
