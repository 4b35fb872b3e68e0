import re
import shlex
import warnings
from pathlib import Path

import pytest
import torch
import yaml

from flare_mesh import MeshData
from flare_mesh.cli import _expand
from flare_mesh.commands.train import FieldCLI
from flare_mesh.io import read_mesh, write_mesh

DOCS = Path(__file__).parents[1] / "docs"


def blocks(page, language=""):
    return re.findall(rf"```{language}\n(.*?)```", (DOCS / page).read_text(), re.DOTALL)


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in range(5):
        data = MeshData(torch.eye(4, 3), tetra=torch.tensor([[3, 0, 1, 2]]))
        data.thickness = torch.rand(4, 1)
        data.displacement = torch.randn(4, 3)
        data.cell_von_mises = torch.rand(1)
        write_mesh(tmp_path / "results" / f"{number}.vtu", data)
    return tmp_path


def execute(code):
    assert "max_epochs=50" in code
    code = code.replace(
        "max_epochs=50", "max_epochs=1, logger=False, accelerator='cpu', enable_progress_bar=False"
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(code, {"__name__": "docs"})


def test_ten_lines_from_a_folder_to_a_trained_model(results):
    training, predicting = blocks("data.md", "python")[:2]
    assert len([line for line in training.splitlines() if line]) <= 12
    execute(training + predicting)
    assert (results / "run/surrogate.safetensors").is_file()
    predicted = read_mesh(results / "predicted.vtu")
    assert predicted.predicted_displacement.shape == (4, 3)


def test_training_in_python(results):
    by_name, own_model = blocks("training.md", "python")
    execute(by_name)
    execute("from lightning import Trainer\n" + own_model)


class ParseOnly(FieldCLI):
    """The command's parser without what follows."""

    def before_instantiate_classes(self):
        pass

    def instantiate_classes(self):
        pass

    def _run_subcommand(self, subcommand):
        pass


def commands():
    """Training commands of the pages, but for those that need a run or a file of the reader's."""
    for page in ("training.md", "distribution.md", "reproducibility.md"):
        for block in blocks(page):
            for line in block.replace("\\\n", "").splitlines():
                found = re.search(r"(?:flare-mesh|-m flare_mesh) (fit|validate|test) (--.*)", line)
                if found and not re.search(r"--resume|--run|mine\.yaml|--config runs", line):
                    yield found[1], shlex.split(found[2], comments=True)


def test_commands_are_understood():
    found = list(commands())
    assert len(found) >= 8
    for command, arguments in found:
        ParseOnly([command, *_expand(command, arguments)])


def test_configurations_are_understood(tmp_path):
    found = [block for block in blocks("training.md", "yaml") if yaml.safe_load(block)]
    assert len(found) == 2
    for text in found:
        path = tmp_path / "part.yaml"
        path.write_text(text)
        ParseOnly(
            ["fit", *_expand("fit", ["--config", "navier_stokes_cpu"]), "--config", str(path)]
        )


def test_options_of_the_table_exist():
    table = (DOCS / "training.md").read_text().split("| option |")[1].split("\n\n")[0]
    names = re.findall(r"`((?:trainer|model|data)\.[\w.]+)`", table)
    assert len(names) > 20
    known = {**ParseOnly(["fit"]).options.as_flat().__dict__}
    for name in names:
        group = any(key.startswith(f"{name}.") for key in known)
        assert name in known or group or name.startswith("model.options."), name
