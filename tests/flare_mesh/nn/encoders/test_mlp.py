import torch

from flare_mesh.nn.encoders import MLPEncoder


def test_is_the_mlp_of_coordinates_and_features():
    encoder = MLPEncoder(2, 8, 3)
    x, pos = torch.randn(5, 2), torch.randn(5, 3)
    torch.testing.assert_close(encoder(x, pos), encoder.mlp(torch.cat([pos, x], dim=-1)))


def test_layers_of_the_paper_and_their_names():
    encoder = MLPEncoder(2, 8, 3)
    shapes = {key: tuple(value.shape) for key, value in encoder.state_dict().items()}
    assert shapes == {
        **{f"mlp.layers.{i}.weight": (8, 5 if i == 0 else 8) for i in range(4)},
        **{f"mlp.layers.{i}.bias": (8,) for i in range(4)},
    }
    assert encoder.mlp.output_residual
    assert not encoder.mlp.input_residual
    assert not MLPEncoder(5, 8, 3).mlp.input_residual  # nor where the sizes would allow it


def test_repr():
    assert repr(MLPEncoder(2, 8, 3)) == "MLPEncoder(2, 8, 3)"
