import json
import subprocess
import sys

import pytest
import torch
from torch import nn

from flare_mesh.io.hub import HubMixin
from flare_mesh.models import FieldModel, FLAREOperator
from flare_mesh.testing import random_graph

hub = pytest.importorskip("huggingface_hub")
errors = pytest.importorskip("huggingface_hub.errors")
TINY = {"hidden_channels": 8, "num_layers": 1, "heads": 2, "num_latents": 4}


@pytest.fixture
def model():
    torch.manual_seed(0)
    return FLAREOperator(2, 3, **TINY)


def assert_same(ours, theirs):
    assert type(ours) is type(theirs)
    assert ours.config == theirs.config
    graph = random_graph(20, 2)
    assert ours(graph).equal(theirs(graph))


def test_a_folder_is_saved_and_loaded(model, tmp_path):
    model.save_pretrained(tmp_path / "shared")
    files = sorted(file.name for file in (tmp_path / "shared").iterdir())
    assert files == ["README.md", "config.json", "model.safetensors"]
    assert_same(FLAREOperator.from_pretrained(tmp_path / "shared"), model)
    assert_same(FLAREOperator.load(tmp_path / "shared"), model)


def test_the_card(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model.save_pretrained("shared")
    card = hub.ModelCard.load(tmp_path / "shared" / "README.md")
    assert card.data.library_name == "flare-mesh"
    assert card.data.pipeline_tag == "graph-ml"
    assert {"mesh", "neural-operator"} <= set(card.data.tags)
    assert card.data.license is None
    code = card.text.split("```python\n")[1].split("```")[0]
    names = {}
    exec(code, names)  # the card's example
    assert_same(names["model"], model)
    options = json.loads(card.text.split("```json\n")[1].split("```")[0])
    assert options == {"model": "flare", **model.config}


def test_the_card_names_the_repository(model, tmp_path):
    model.save_pretrained(tmp_path, repo_id="me/field")
    assert 'FLAREOperator.from_pretrained("me/field")' in (tmp_path / "README.md").read_text()


def test_an_existing_card_is_not_overwritten(model, tmp_path):
    (tmp_path / "README.md").write_text("mine")
    model.save_pretrained(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"


def test_a_custom_encoder_must_be_passed_again(tmp_path):
    class Encoder(nn.Linear):
        pointwise = True

        def __init__(self):
            super().__init__(3, 8)

        def forward(self, x, pos, *, ptr=None, edge_index=None):
            return super().forward(pos)

    model = FLAREOperator(0, 1, **TINY, encoder=Encoder())
    model.save_pretrained(tmp_path)
    again = FLAREOperator.from_pretrained(tmp_path, encoder=Encoder())
    assert again.encoder.weight.equal(model.encoder.weight)
    with pytest.raises(ValueError, match="pass encoder="):
        FLAREOperator.from_pretrained(tmp_path)


def test_push(model, tmp_path, monkeypatch):
    calls = []

    class Api:
        def __init__(self, token=None):
            calls.append(("token", token))

        def create_repo(self, repo_id, private=None, exist_ok=False, **_):
            calls.append(("create", repo_id, private, exist_ok))
            return hub.RepoUrl(f"https://huggingface.co/{repo_id}")

        def upload_folder(self, *, repo_id, folder_path, commit_message, revision, **_):
            calls.append(("upload", repo_id, commit_message, revision))
            for file in folder_path.iterdir():
                (tmp_path / file.name).write_bytes(file.read_bytes())
            return "https://huggingface.co/me/field/commit/1"

    monkeypatch.setattr("huggingface_hub.hub_mixin.HfApi", Api)
    url = model.push_to_hub("me/field", private=True, commit_message="First", branch="dev")
    assert url == "https://huggingface.co/me/field/commit/1"
    assert calls == [
        ("token", None),
        ("create", "me/field", True, True),
        ("upload", "me/field", "First", "dev"),
    ]
    assert_same(FLAREOperator.load(tmp_path), model)
    assert 'FLAREOperator.from_pretrained("me/field")' in (tmp_path / "README.md").read_text()


def test_pull(model, tmp_path, monkeypatch):
    model.save(tmp_path)

    def snapshot_download(repo_id, *, revision, allow_patterns, **_):
        assert (repo_id, revision) == ("me/field", "v1")
        assert allow_patterns == ["*.json", "*.safetensors"]  # no code, no pickles
        return str(tmp_path)

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    assert_same(FLAREOperator.from_pretrained("me/field", revision="v1"), model)


@pytest.mark.parametrize(
    "error", [errors.LocalEntryNotFoundError("offline"), OSError("no route\nmore")]
)
def test_the_hub_does_not_provide_the_model(monkeypatch, error):
    def snapshot_download(*_, **__):
        raise error

    monkeypatch.setattr(hub, "snapshot_download", snapshot_download)
    with pytest.raises(ConnectionError, match=r"me/field: neither a folder nor .*\((off|no)[^m]*"):
        FLAREOperator.from_pretrained("me/field")


def test_names_that_do_not_exist(tmp_path):
    with pytest.raises(ConnectionError, match="neither a folder nor a model"):
        FLAREOperator.from_pretrained(tmp_path / "missing", local_files_only=True)


def test_hostile_files(model, tmp_path):
    model.save_pretrained(tmp_path)
    (tmp_path / "config.json").write_text('{"model": "flare", "shared": 1, "in_channels": 2}')
    with pytest.raises(ValueError, match="cannot be loaded as FLAREOperator"):
        FLAREOperator.from_pretrained(tmp_path)
    (tmp_path / "config.json").write_text("[]")
    with pytest.raises(ValueError):
        FLAREOperator.from_pretrained(tmp_path)


def test_without_the_package(model, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    for call in (
        lambda: model.save_pretrained(tmp_path),
        lambda: model.push_to_hub("me/field"),
        lambda: FLAREOperator.from_pretrained("me/field"),
    ):
        with pytest.raises(ImportError, match=r'pip install "flare-mesh\[hub\]"'):
            call()
    assert not list(tmp_path.iterdir())
    model.save(tmp_path)
    assert_same(FLAREOperator.from_pretrained(tmp_path), model)


def test_any_class_with_its_own_files(tmp_path):
    class Constant(HubMixin, nn.Module):
        def __init__(self, value):
            super().__init__()
            self.value = value

        def save(self, path):
            (path / "value.json").write_text(json.dumps(self.value))

        @classmethod
        def load(cls, path):
            return cls(json.loads((tmp_path / "value.json").read_text()))

    Constant(3).save_pretrained(tmp_path)
    assert Constant.from_pretrained(tmp_path).value == 3
    assert issubclass(FieldModel, HubMixin)


@pytest.mark.slow
def test_the_package_is_imported_on_first_use():
    code = "import sys, flare_mesh.models; sys.exit('huggingface_hub' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
