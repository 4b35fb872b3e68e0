import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data

from flare_mesh.data.transforms import FromReferenceFrame, RandomRotation, ToReferenceFrame

NAMES = {"vectors": {"y": (1,)}, "tensors": {"stress": (0,)}, "lengths": ["u"]}


def case(dim=3, nodes=20, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    # Skewed along each axis, and of three different widths.
    pos = draw(nodes, dim).abs() * torch.tensor([4.0, 2.0, 1.0])[:dim] + 5
    return Data(
        pos=pos.to(dtype),
        y=draw(nodes, dim + 1).to(dtype),
        stress=draw(nodes, dim * (dim + 1) // 2).to(dtype),
        u=draw(nodes, 1).to(dtype),
    )


def test_origins():
    pos = torch.tensor([[0.0, 0.0, 1.0], [4.0, 0.0, 3.0], [2.0, 6.0, 5.0], [2.0, 6.0, 7.0]])
    data = Data(pos=pos)
    assert torch.equal(ToReferenceFrame()(data).pos, pos - torch.tensor([2.0, 3.0, 4.0]))
    assert torch.equal(ToReferenceFrame("middle")(data).pos, pos - torch.tensor([2.0, 3.0, 4.0]))
    assert torch.equal(ToReferenceFrame("bottom")(data).pos, pos - torch.tensor([2.0, 3.0, 1.0]))
    data.weight = torch.tensor([3.0, 1.0, 0.0, 0.0])
    out = ToReferenceFrame(unit_length=True)(data)
    torch.testing.assert_close(out.pos, (pos - torch.tensor([1.0, 0.0, 1.5])) / 6)
    assert torch.equal(out.weight, data.weight)
    assert out.frame_origin.tolist() == [[1.0, 0.0, 1.5]]
    assert out.frame_scale.tolist() == [6.0]
    assert torch.equal(out.frame_rotation, torch.eye(3)[None])


@pytest.mark.parametrize("origin", ["centroid", "middle", "bottom"])
@pytest.mark.parametrize("dim", [2, 3])
def test_the_frame_follows_the_mesh(dim, origin):
    torch.manual_seed(0)
    data = case(dim)
    data.weight = torch.rand(20, dtype=torch.float64)
    to = ToReferenceFrame(origin, principal_axes=True, unit_length=True, **NAMES)
    expected = to(data)
    for _ in range(5):
        rotated = RandomRotation(vectors=NAMES["vectors"], tensors=NAMES["tensors"])(data)
        rotated.pos = rotated.pos * 3 + torch.randn(dim, dtype=torch.float64)
        rotated.u = rotated.u * 3
        out = to(rotated)
        for key in ("pos", "y", "stress", "u"):
            torch.testing.assert_close(out[key], expected[key])


@pytest.mark.parametrize("dim", [2, 3])
def test_principal_axes(dim):
    out = ToReferenceFrame(principal_axes=True)(case(dim)).pos
    moments = out.T @ out
    diagonal = moments.diagonal()
    torch.testing.assert_close(moments, torch.diag(diagonal))
    assert diagonal.tolist() == sorted(diagonal.tolist(), reverse=True)
    skewness = (out**3).mean(0) / (out**2).mean(0) ** 1.5
    free = skewness.abs().argmin()
    assert all(float(s) > 0 for i, s in enumerate(skewness) if i != free)


def test_rotates_and_never_reflects():
    for seed in range(10):
        rotation = ToReferenceFrame(principal_axes=True)(case(seed=seed)).frame_rotation[0]
        torch.testing.assert_close(rotation @ rotation.T, torch.eye(3, dtype=torch.float64))
        assert float(torch.linalg.det(rotation)) == pytest.approx(1.0)


def test_a_plane_of_symmetry_determines_the_frame():
    """The axis without skewness, here the longest, follows from the two others."""
    half = case().pos
    data = Data(pos=torch.cat([half, half * torch.tensor([-1.0, 1.0, 1.0])]))
    to = ToReferenceFrame(principal_axes=True)
    expected = to(data)
    torch.manual_seed(0)
    for _ in range(10):
        torch.testing.assert_close(to(RandomRotation()(data)).pos, expected.pos)


def test_symmetric_and_flat_shapes():
    corners = torch.cartesian_prod(*[torch.tensor([-1.0, 1.0])] * 3)
    box = Data(pos=corners * torch.tensor([1.0, 3.0, 2.0]))
    out = ToReferenceFrame(principal_axes=True)(box)
    # Third moments vanish: the largest components are positive, x = y', y = z', z = x'.
    expected = torch.tensor([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])
    torch.testing.assert_close(out.frame_rotation[0], expected)
    flat = case()
    flat.pos[:, 2] = 1.0
    out = ToReferenceFrame(principal_axes=True)(flat)
    torch.testing.assert_close(out.pos[:, 2], torch.zeros(20, dtype=torch.float64))
    line = Data(pos=torch.tensor([[0.0, 0, 0], [0, 0, 1], [0, 0, 3]]))
    out = ToReferenceFrame(principal_axes=True)(line)
    torch.testing.assert_close(out.pos[:, 0], torch.tensor([-4.0, -1.0, 5.0]) / 3)


@settings(deadline=None, max_examples=30)
@given(
    dim=st.sampled_from([2, 3]),
    seed=st.integers(0, 99),
    origin=st.sampled_from(["centroid", "middle", "bottom"]),
    principal_axes=st.booleans(),
    unit_length=st.booleans(),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_there_and_back(dim, seed, origin, principal_axes, unit_length, dtype):
    data = case(dim, seed=seed, dtype=dtype)
    there = ToReferenceFrame(
        origin, principal_axes=principal_axes, unit_length=unit_length, **NAMES
    )(data)
    back = FromReferenceFrame(**NAMES)(there)
    assert set(back.keys()) == set(data.keys())
    for key, value in data.to_dict().items():
        assert back[key].dtype == dtype
        torch.testing.assert_close(
            back[key], value, rtol=1e-5, atol=1e-5 if dtype.itemsize < 8 else 1e-12
        )


def test_lengths_and_displacements():
    data = case()
    data.displacement = data.pos * 0.1
    options = {"vectors": {"displacement": (0,)}, "lengths": ["displacement"]}
    out = ToReferenceFrame(principal_axes=True, unit_length=True, **options)(data)
    moved = ToReferenceFrame(principal_axes=True, unit_length=True)(data)
    # The displaced mesh, seen from the frame of the mesh.
    expected = (
        (data.pos * 1.1 - moved.frame_origin) @ moved.frame_rotation[0].T
    ) / moved.frame_scale
    torch.testing.assert_close(out.pos + out.displacement, expected)


def test_predictions_of_a_batch_are_transformed_back():
    cases = [case(seed=i, nodes=5 + i) for i in range(3)]
    to = ToReferenceFrame(principal_axes=True, unit_length=True, **NAMES)
    batch = Batch.from_data_list([to(data) for data in cases])
    assert batch.frame_rotation.shape == (3, 3, 3)
    batch.prediction = batch.y[:, 1:]
    back = FromReferenceFrame(vectors={"prediction": (0,)})(batch)
    torch.testing.assert_close(back.prediction, torch.cat([data.y[:, 1:] for data in cases]))
    torch.testing.assert_close(back.pos, torch.cat([data.pos for data in cases]))
    assert "frame_origin" not in back
    assert "frame_origin" in batch
    batch.batch = batch.batch.flip(0)
    with pytest.raises(ValueError, match="'batch' to be sorted"):
        FromReferenceFrame()(batch)


def test_bad_input():
    with pytest.raises(ValueError, match="unknown origin 'top'; choose from"):
        ToReferenceFrame("top")
    once = ToReferenceFrame()(case())
    with pytest.raises(ValueError, match="already in a frame"):
        ToReferenceFrame()(once)
    with pytest.raises(ValueError, match="no extent to scale"):
        ToReferenceFrame(unit_length=True)(Data(pos=torch.ones(2, 3)))
    with pytest.raises(ValueError, match="at least one node"):
        ToReferenceFrame()(Data(pos=torch.empty(0, 3)))
    with pytest.raises(
        ValueError, match="FromReferenceFrame: expected .*'frame_origin'.* apply ToReferenceFrame"
    ):
        FromReferenceFrame()(case())
    with pytest.raises(ValueError, match="FromReferenceFrame: expected 'v' as"):
        FromReferenceFrame(vectors={"v": (0,)})(once)
