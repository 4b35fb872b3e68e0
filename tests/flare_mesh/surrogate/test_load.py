import json
import pickle
import sys
from importlib import import_module

import pytest
import torch
from torch.optim.swa_utils import AveragedModel

from flare_mesh import FLAREOperator, Surrogate
from flare_mesh.models import load
from flare_mesh.surrogate.load import load_surrogate
from flare_mesh.surrogate.surrogate_file import FILE, write_surrogate_file
from flare_mesh.testing import random_graph
from flare_mesh.training import FieldModule


@pytest.fixture
def module():
    torch.manual_seed(0)
    model = FLAREOperator(0, 1, hidden_channels=8, num_layers=1, heads=2, num_latents=3)
    surrogate = Surrogate(model, {"u": 1}, units={"u": "mm"})
    surrogate.fit_normalizers([random_graph(9).update({"y": torch.randn(9, 1), "x": None})])
    made = FieldModule(surrogate, ema=0.9)
    assert isinstance(made.ema, AveragedModel)
    with torch.no_grad():
        for parameter in made.ema.parameters():
            parameter.mul_(1.5)
    return made


def checkpoint(path, module):
    found = {"state_dict": module.state_dict()}
    module.on_save_checkpoint(found)
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(found, path)
    return path


def predicted(surrogate):
    return surrogate.predict(random_graph(5, seed=3))["u"]


def test_folder_file_and_checkpoint_of_a_run(module, tmp_path):
    surrogate, run = module.surrogate, tmp_path / "run"
    surrogate.save(run)
    last = checkpoint(run / "checkpoints/last.ckpt", module)
    expected = predicted(surrogate)
    for path in (run, run / "surrogate.safetensors", last, str(last)):
        found = load_surrogate(path)
        assert torch.equal(predicted(found), expected)
        assert found.header()["units"] == {"u": "mm"}
        assert found.training_range.num_nodes == (9, 9)


def test_averaged_weights(module, tmp_path):
    surrogate, run = module.surrogate, tmp_path / "run"
    surrogate.save(run)
    with pytest.raises(FileNotFoundError, match=r"no averaged weights; train with model.ema"):
        load_surrogate(run, ema=True)
    last = checkpoint(run / "checkpoints/last.ckpt", module)
    surrogate.model = module.ema.module
    surrogate.save(run / "ema")
    expected = predicted(surrogate)
    for found in (load_surrogate(run, ema=True), load_surrogate(last, ema=True)):
        assert torch.equal(predicted(found), expected)
    assert not torch.equal(predicted(load_surrogate(last)), expected)
    module.ema = None
    with pytest.raises(ValueError, match=r"last.ckpt: no averaged weights; train"):
        load_surrogate(checkpoint(last, module), ema=True)


def test_paths_without_a_surrogate(module, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nowhere: no trained surrogate in it"):
        load_surrogate(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"none.ckpt: no such checkpoint"):
        load_surrogate(tmp_path / "none.ckpt")
    (tmp_path / "a.stl").write_text("solid")
    with pytest.raises(ValueError, match=r"a.stl: expected a run's folder or checkpoint"):
        load_surrogate(tmp_path / "a.stl")
    checkpoint(tmp_path / "run/checkpoints/last.ckpt", module)
    with pytest.raises(FileNotFoundError, match=r"not ended; give its checkpoint, .*last.ckpt"):
        load_surrogate(tmp_path / "run")


class Hostile:
    def __reduce__(self):
        return (open, ("run_by_pickle", "w"))


def test_damaged_foreign_and_hostile_checkpoints(module, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    whole = checkpoint(tmp_path / "whole.ckpt", module).read_bytes()
    (tmp_path / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut.ckpt: damaged, or not a checkpoint of flare-mesh"):
        load_surrogate(tmp_path / "cut.ckpt")
    torch.save({"state_dict": {}, "epoch": 3}, tmp_path / "foreign.ckpt")
    with pytest.raises(ValueError, match=r"foreign.ckpt: cannot be loaded as a surrogate"):
        load_surrogate(tmp_path / "foreign.ckpt")
    torch.save({"state_dict": Hostile()}, tmp_path / "hostile.ckpt")
    (tmp_path / "bare.ckpt").write_bytes(pickle.dumps(Hostile(), protocol=2))
    for name in ("hostile.ckpt", "bare.ckpt"):
        with pytest.raises(ValueError, match=f"{name}: damaged, or not a checkpoint"):
            load_surrogate(tmp_path / name)
    assert not (tmp_path / "run_by_pickle").exists()


def test_a_model_of_own_code_needs_trust(module, own_code, tmp_path):
    surrogate = module.surrogate
    header = surrogate.header()
    for name in ("own_code:Net", "os:system"):
        header["model"]["name"] = name
        write_surrogate_file(tmp_path / FILE, header, surrogate.state_dict())
        with pytest.raises(ValueError, match=f"{FILE}.*'{name}' is code.*--trust-code") as caught:
            load_surrogate(tmp_path)
        assert "\n" not in str(caught.value)
    assert not own_code.exists()
    with pytest.raises(ValueError, match="'os:system': expected a subclass of .*FieldModel"):
        load_surrogate(tmp_path, trust_code=True)

    net = import_module("own_code").Net(0, 1, 5)
    own = Surrogate(net, {"u": 1})
    own.fit_normalizers([random_graph(9).update({"y": torch.randn(9, 1), "x": None})])
    own.save(tmp_path)
    last = checkpoint(tmp_path / "last.ckpt", FieldModule(own))
    net.save(tmp_path / "net")
    sys.modules.pop("own_code")
    own_code.unlink()
    for read, path in (
        (load_surrogate, tmp_path),
        (load_surrogate, last),
        (load, tmp_path / "net"),
    ):
        with pytest.raises(ValueError, match="'own_code:Net' is code"):
            read(path)
    assert not own_code.exists()
    for path in (tmp_path, last):
        assert torch.equal(predicted(load_surrogate(path, trust_code=True)), predicted(own))
    assert load(tmp_path / "net", trust_code=True).config == net.config


def test_a_class_in_a_file_does_not_spare_its_sizes_the_check(module, tmp_path):
    header = module.surrogate.header()
    header["model"] |= {"mixer": "own_code:Mixer", "hidden_channels": 2048}
    write_surrogate_file(tmp_path / FILE, header, module.surrogate.state_dict())
    with pytest.raises(ValueError, match="hidden_channels=2,048 needs more weights than the file"):
        load_surrogate(tmp_path)


def test_only_a_name_with_a_colon_is_a_class(module, tmp_path):
    header = json.loads(json.dumps(module.surrogate.header()))
    header["model"]["name"] = "os.system"
    write_surrogate_file(tmp_path / FILE, header, module.surrogate.state_dict())
    with pytest.raises(ValueError, match=r"unknown model 'os.system'; choose from"):
        load_surrogate(tmp_path, trust_code=True)
