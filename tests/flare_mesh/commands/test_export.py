import pytest
import torch

from flare_mesh import FLAREOperator, Surrogate
from flare_mesh.commands.export import export
from flare_mesh.testing import random_graph

TINY = {"hidden_channels": 8, "num_layers": 1, "heads": 2, "num_latents": 4, "kv_layers": -1,
        "ffn_layers": -1, "head_layers": -1}  # fmt: skip


@torch.no_grad()
@pytest.mark.parametrize("kind", ["model", pytest.param("surrogate", marks=pytest.mark.slow)])
def test_a_folder_becomes_a_program(tmp_path, capsys, kind):
    model = FLAREOperator(0, 1, **TINY)
    saved = model if kind == "model" else Surrogate(model, {"u": 1})
    saved.save(tmp_path / "run")
    export(str(tmp_path / "run"), str(tmp_path / "field.pt2"))
    assert "field.pt2" in capsys.readouterr().out
    pos = random_graph(40).pos
    got = torch.export.load(tmp_path / "field.pt2").module()(pos=pos)
    torch.testing.assert_close(got, model(None, pos))


@pytest.mark.slow
def test_a_folder_becomes_onnx(tmp_path):
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    FLAREOperator(2, 1, **TINY).save(tmp_path / "run")
    export(str(tmp_path / "run"), str(tmp_path / "field.onnx"), weight=True, opset=20)
    inputs = onnx.load(tmp_path / "field.onnx").graph.input
    assert [entry.name for entry in inputs] == ["x", "pos", "weight"]


def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match=r"expected a file name that ends in .onnx or .pt2"):
        export(str(tmp_path), str(tmp_path / "field.pt"))
    with pytest.raises(ValueError, match=r"'opset' belongs to .onnx files \(got 20\)"):
        export(str(tmp_path), str(tmp_path / "field.pt2"), opset=20)
    with pytest.raises(FileNotFoundError):
        export(str(tmp_path), str(tmp_path / "field.pt2"))
