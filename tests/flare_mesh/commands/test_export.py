import pytest
import torch

from flare_mesh import FLAREOperator, Surrogate
from flare_mesh.cli import main
from flare_mesh.commands.export import export
from flare_mesh.testing import random_graph

TINY = {"hidden_channels": 8, "num_layers": 1, "heads": 2, "num_latents": 4, "kv_layers": -1,
        "ffn_layers": -1, "head_layers": -1}  # fmt: skip


@torch.no_grad()
def test_the_folder_of_a_model_becomes_a_program(tmp_path, capsys):
    """Those of surrogates are exported in tests/test_docs.py."""
    model = FLAREOperator(0, 1, **TINY)
    model.save(tmp_path / "run")
    export(str(tmp_path / "run"), str(tmp_path / "field.pt2"))
    printed = capsys.readouterr().out.splitlines()
    assert printed[0].endswith("field.pt2")
    assert printed[1:] == ["input pos [nodes, 3]", "output field [nodes, 1]: field (1)"]
    pos = random_graph(40).pos
    got = torch.export.load(tmp_path / "field.pt2").module()(pos=pos)
    torch.testing.assert_close(got, model(None, pos))


def test_options_of_onnx(tmp_path, monkeypatch):
    """A file of ONNX is exported by the command in tests/test_docs.py."""
    asked = []

    def record(model, out, **options):
        asked.append((type(model), out, options))
        raise ValueError("no file today")

    monkeypatch.setattr("flare_mesh.surrogate.export.export_onnx", record)
    Surrogate(FLAREOperator(0, 1, **TINY), {"u": 1}).save(tmp_path / "run")
    out = str(tmp_path / "field.onnx")
    for switches, weight in (([], None), (["--weight"], True), (["--no-weight"], False)):
        assert main(["export", f"--model={tmp_path / 'run'}", f"--out={out}", "--opset=20",
                     *switches]) == 2  # fmt: skip
        assert asked.pop() == (Surrogate, out, {"weight": weight, "opset": 20})


def test_bad_input(tmp_path):
    with pytest.raises(ValueError, match=r"expected a file name that ends in .onnx or .pt2"):
        export(str(tmp_path), str(tmp_path / "field.pt"))
    with pytest.raises(ValueError, match=r"'opset' belongs to .onnx files \(got 20\)"):
        export(str(tmp_path), str(tmp_path / "field.pt2"), opset=20)
    with pytest.raises(FileNotFoundError):
        export(str(tmp_path), str(tmp_path / "field.pt2"))
