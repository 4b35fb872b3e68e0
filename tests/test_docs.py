"""Code and commands of the README and of the pages in docs."""

import argparse
import importlib
import importlib.util
import re
import shlex
import shutil
import warnings
from contextlib import nullcontext, suppress
from itertools import count
from pathlib import Path

import lightning
import numpy as np
import pytest
import torch
import yaml
from torch import distributed as dist
from torch_geometric.data import Batch, Data

import lpbf
from flare_mesh import FLAREOperator, MeshData
from flare_mesh.cli import _call, _expand, main
from flare_mesh.commands.parser import CommandParser
from flare_mesh.commands.train import FieldCLI
from flare_mesh.commands.train_sequences import SequenceCLI
from flare_mesh.commands.training_kind import is_of_sequences
from flare_mesh.configs import find_config
from flare_mesh.io import read_mesh, write_mesh
from flare_mesh.io.mesh_formats import READABLE_SUFFIXES
from flare_mesh.ops import flare_causal_attention
from flare_mesh.training import FieldDataModule, build_module

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(page, language=""):
    fences = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)
    return [text for name, text in fences if name == language]


class ShortTrainer(lightning.Trainer):
    """One epoch, or a few steps of a time budget, in silence."""

    def __init__(self, max_epochs=None, **options):
        for budget in options.get("callbacks", ()):
            budget.time.clock = count(step=50).__next__  # a few looks at it use the time
        quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
        super().__init__(max_epochs=max_epochs and 1, accelerator="cpu", **quiet, **options)


@pytest.fixture
def results(tmp_path, monkeypatch):
    """A folder of results, in the current folder."""
    monkeypatch.chdir(tmp_path)
    for number in range(5):
        data = MeshData(torch.eye(4, 3), tetra=torch.tensor([[3, 0, 1, 2]]))
        data.thickness = torch.rand(4, 1)
        data.displacement = torch.randn(4, 3)
        data.cell_von_mises = torch.rand(1)
        write_mesh(tmp_path / "results" / f"{number}.vtu", data)
    return tmp_path


def tensors(nodes, **more):
    """What the pages call the input of a model of two channels, and the points to evaluate at."""
    x, pos = torch.randn(nodes, 2), torch.randn(nodes, 3)
    return {"x": x, "pos": pos, "x_probe": torch.randn(7, 2), "pos_probe": torch.randn(7, 3)} | more


def write_npy(path, shape):
    path.parent.mkdir(parents=True, exist_ok=True)
    np.save(path, 1 + np.random.default_rng(0).random(shape))


# One generator a page: before each of the page's blocks it yields the names that the block takes
# from the reader, and it checks the result of the block before.


def readme(names, folder, trained):
    yield {}
    assert names["fields"].shape == (1700, 3)
    assert (folder / "my-model").is_dir()


def data(names, folder, trained):
    yield {}
    assert (folder / "run/surrogate.safetensors").is_file()
    yield {}
    assert read_mesh(folder / "predicted.vtu").predicted_displacement.shape == (4, 3)
    mesh = lpbf.HexMesh.from_mask(np.ones((2, 2, 2), dtype=bool), (1.0, 1.0, 1.0))
    part = MeshData(torch.tensor(mesh.points), hexahedron=torch.tensor(mesh.cells))
    part.cell_stress = torch.rand(8, 6)
    write_mesh(folder / "part.vtu", part)
    yield {}
    assert read_mesh(folder / "copy.vtu").weight.shape == (27,)
    for name in range(9):
        for kind, shape in (("pos", (9, 3)), ("pressure", (9,))):
            write_npy(folder / f"clouds/{name}/{kind}.npy", shape)
    yield {}
    assert names["train"][0].y.shape == (9, 1)
    yield {"train": [Data(y=torch.randn(20, 4))], "y": torch.randn(5, 4)}


def lpbf_page(names, folder, trained):
    yield {}
    assert read_mesh("part.vtu").num_nodes == names["mesh"].num_nodes
    assert Path("part.pvd").is_file()
    assert Path("part/part_0000.vtu").is_file()
    assert lpbf.Process.from_yaml("process.yaml") == names["process"]
    yield {}
    assert names["result"].mesh.supports is not None
    yield {}
    assert names["process"].strain == "thermal"


def mixer(names, folder, trained):
    yield {}
    torch.testing.assert_close(names["again"], names["mixed"])
    yield tensors(1700, FLAREOperator=FLAREOperator)
    torch.testing.assert_close(names["field"], names["model"](names["x"], names["pos"]))
    dist.init_process_group("gloo", f"file://{folder}/group", rank=0, world_size=1)
    try:
        yield {"group": dist.group.WORLD}
    finally:
        dist.destroy_process_group()
    graphs = [Data(x=torch.randn(n, 2), pos=torch.randn(n, 3)) for n in (5, 9)]
    yield {"data": Batch.from_data_list(graphs)}
    assert names["ranks"].shape == names["spectra"].shape[:3]


def report(names, folder, trained):
    from matplotlib import pyplot

    (folder / "runs").mkdir()
    (folder / "runs/plates").symlink_to(trained[0])
    yield {}
    assert "<svg" in (folder / "curves.svg").read_text()
    pyplot.close("all")


def training(names, folder, trained):
    yield {}
    assert names["budget"].time.done


def own_code(names, folder, trained):
    yield {}
    assert names["module"].surrogate.fields == {"flux": 2}
    yield {}
    assert names["module"].surrogate.model.config["mixer"] == "docs:MeanOfMesh"
    yield {}
    assert names["module"].surrogate.fields == {"von_mises": 1}
    yield {}
    assert names["surrogate"].fields == {"von_mises": 1}


def export(names, folder, trained):
    fields = {"inputs": ["thickness"], "targets": ["von_mises"]}
    data = FieldDataModule("mesh_folder", "results", options=fields)
    size = {"hidden_channels": 16, "num_layers": 1, "num_latents": 4, "heads": 2}
    module = build_module(data, options=size)
    module.surrogate.save(folder / "runs/mesh_folder")
    # The command of the page.
    assert main(["export", "--model", "runs/mesh_folder", "--out", "field.onnx"]) == 0
    yield {}
    yield {"np": np}
    assert set(names["fields"]) == {"von_mises"}


def sequences(names, folder, trained):
    yield {}
    assert names["scores"].shape == (2, 10)
    query, tokens = torch.randn(2, 5, 4), torch.randn(2, 10, 2, 4)
    yield {
        **{"query": query, "ptr": torch.tensor([0, 9]), "one": torch.tensor([0, 1])},
        **{"key": tokens[0, :9], "value": tokens[1, :9]},
        **{"key_next": tokens[0, 9:], "value_next": tokens[1, 9:]},
    }
    whole = flare_causal_attention(query, *tokens, ptr=torch.tensor([0, 10]))
    torch.testing.assert_close(torch.cat([names["y"], names["y_next"]]), whole)
    steps = [Data(pos=torch.rand(3, 3), x=torch.rand(3, 1)) for _ in range(10)]
    yield {
        "batch": Batch.from_data_list([*steps]),
        "offsets": torch.tensor([0, 4, 10]),
        "next_step": Batch.from_data_list(steps[:2]),
    }
    assert names["y_next"].shape == (6, 1)
    lines = ["Source\tTarget", *40 * ["[MAX 1 4 ]\t4"], ""]
    Path("data/listops-1000").mkdir(parents=True)
    Path("data/listops-1000/basic_train.tsv").write_text("\n".join(lines))
    yield {}
    assert names["batch"].token.shape == (32 * 4,)


def visualize(names, folder, trained):
    part = lpbf.HexMesh.from_mask(np.ones((1, 1, 2)), 1.0)
    process = lpbf.Process.preset("316L", heat=None)
    result = lpbf.simulate(part, process)
    result.save("part.vtu")
    yield {}
    predicted = result.to_mesh()
    predicted.predicted_displacement = 0.9 * predicted.displacement
    write_mesh("predicted.vtu", predicted)
    yield {}
    yield {"lpbf": lpbf, "part": part, "process": process}
    yield {}
    written = {path.name for path in Path().iterdir() if path.suffix in (".png", ".gif")}
    assert written == {"part.png", "comparison.png", "build.gif"}


PREPARED = {
    "README.md": readme,
    "data.md": data,
    "export.md": export,
    "lpbf.md": lpbf_page,
    "mixer.md": mixer,
    "own_code.md": own_code,
    "report.md": report,
    "sequences.md": sequences,
    "training.md": training,
    "visualize.md": visualize,
}


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=lambda page: page.name
)
def test_code_runs(page, results, trained, monkeypatch):
    monkeypatch.setattr(lightning, "Trainer", ShortTrainer)
    names = {"__name__": "docs"}
    prepared = PREPARED[page.name](names, results, trained)
    for code in blocks(page, "python"):
        names |= next(prepared)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exec(compile(code, f"{page.name}: {code.splitlines()[0]}", "exec"), names)
    with pytest.raises(StopIteration):  # as many blocks as are prepared
        next(prepared)


class ParseOnly:
    """The command's parser without what follows."""

    def before_instantiate_classes(self):
        pass

    def instantiate_classes(self):
        pass

    def _run_subcommand(self, subcommand):
        pass


def test_ten_lines_from_a_folder_to_a_trained_model():
    code, _ = blocks(ROOT / "docs/data.md", "python")[:2]
    assert len([line for line in code.splitlines() if line]) <= 12


class FieldParser(ParseOnly, FieldCLI):
    pass


class SequenceParser(ParseOnly, SequenceCLI):
    pass


@pytest.fixture(scope="module")
def cli():
    """Parsers of the training commands, of fields and of sequences."""
    kinds = FieldParser, SequenceParser
    return {name: [kind([name]) for kind in kinds] for name in ("fit", "validate", "test")}


class UnderstoodError(Exception):
    """Raised in place of running a command whose options were understood."""


def understand(cli, monkeypatch, program, arguments):
    """Parses the arguments of a command without running it; raises what the parser raises."""

    def only(parse):
        def parse_only(*args, **options):
            parse(*args, **options)
            raise UnderstoodError

        return parse_only

    if program == "make":
        assert re.search(rf"^{arguments[0]}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    elif arguments[0] in cli:
        taken_by_main = ("--trust-config", "--trust-code")
        arguments = [arg for arg in arguments if arg not in taken_by_main]
        arguments = [arguments[0], *_expand(arguments[0], arguments[1:])]
        parser = cli[arguments[0]][is_of_sequences(arguments[1:])]
        parser.parse_arguments(parser.parser, arguments)
    else:
        for parser, name in ((argparse.ArgumentParser, "parse_args"), (CommandParser, "parse")):
            monkeypatch.setattr(parser, name, only(getattr(parser, name)))
        with suppress(UnderstoodError):
            if program == "flare-mesh":
                _call(arguments[0], arguments[1:])
            package = importlib.util.find_spec(program).submodule_search_locations is not None
            importlib.import_module(f"{program}.__main__" if package else program).main(arguments)
            pytest.fail("the arguments were not parsed")


def commands():
    """Commands of the pages: page, program or module, arguments."""
    for page in PAGES:
        for block in blocks(page):
            for line in block.replace("\\\n", "").splitlines():
                for program in (r"(make|flare-mesh)", r"\S*(?:python|torchrun) .*?-m ([\w.]+)"):
                    found = re.match(rf"(?:srun )?{program} (.*)", line)
                    if found and "|" not in line:
                        name = "flare-mesh" if found[1] == "flare_mesh" else found[1]
                        yield page.name, name, found[2]


COMMANDS = [*commands()]


@pytest.mark.parametrize(("page", "program", "arguments"), COMMANDS)
def test_commands_are_understood(cli, tmp_path, monkeypatch, page, program, arguments):
    monkeypatch.chdir(tmp_path)
    sequences = tmp_path / "runs/lra_listops_cpu/config.yaml"
    sequences.parent.mkdir(parents=True)
    shutil.copy(find_config("lra_listops_cpu"), sequences)
    runs = (f"runs/{name}/config.yaml" for name in ("lpbf", "mesh_folder", "plates"))
    for name in ("mine.yaml", "fit.yaml", *runs):  # files of the reader
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(find_config("mesh_folder_cpu"), tmp_path / name)
    arguments = shlex.split(arguments, comments=True)
    with suppress(SystemExit) if "--print_config" in arguments else nullcontext():
        understand(cli, monkeypatch, program, arguments)


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        ("flare-mesh", "fit --config lpbf_cpu --trainer.device 2"),
        ("flare-mesh", "predict --model a --input b --out c --batch 1"),
        ("lpbf.simulate", "part.stl --output part.vtu"),
    ],
)
def test_unknown_options_are_found(cli, monkeypatch, capsys, program, arguments):
    with pytest.raises((ValueError, SystemExit)):
        understand(cli, monkeypatch, program, arguments.split())


def test_all_commands_are_shown():
    shown = {program for _, program, _ in COMMANDS}
    modules = ("simulate", "calibrate", "compensate", "generate", "stats", "convert")
    assert shown == {
        "make",
        "flare-mesh",
        "flare_mesh.datasets.generate",
        *(f"lpbf.{name}" for name in modules),
    }


def test_configurations_are_understood(cli, tmp_path):
    found = [
        block
        for page in ("training.md", "features.md", "own_code.md")
        for block in blocks(ROOT / "docs" / page, "yaml")
        if yaml.safe_load(block)
    ]
    assert len(found) >= 7
    fields, _ = cli["fit"]
    for text in found:
        path = tmp_path / "part.yaml"
        path.write_text(text)
        base = _expand("fit", ["--config", "navier_stokes_cpu"])
        fields.parse_arguments(fields.parser, ["fit", *base, "--config", str(path)])


def test_options_of_the_table_exist(cli):
    page = (ROOT / "docs/training.md").read_text()
    table = page.split("| option |")[1].split("\n\n")[0]
    names = re.findall(r"`((?:trainer|model|data)\.[\w.]+)`", table)
    assert len(names) > 20
    fields, _ = cli["fit"]
    fields.parse_arguments(fields.parser, ["fit"])
    known = {**fields.config.fit.as_flat().__dict__}
    for name in names:
        group = any(key.startswith(f"{name}.") for key in known)
        assert name in known or group or name.startswith("model.options."), name


def test_every_mesh_format_is_described():
    """The table of docs/data.md has a row with each suffix."""
    page = (ROOT / "docs/data.md").read_text()
    rows = [line.split("|")[1] for line in page.splitlines() if line.startswith("| `.")]
    described = set(re.findall(r"\.\w+", " ".join(rows)))
    assert described == {*READABLE_SUFFIXES}


def test_messages_of_troubleshooting_exist():
    """Each message of the page is one of the code, except for names and numbers (...)."""
    folders = ("flare_mesh", "datasets", "visualize", "lpbf")
    files = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    code = "\n".join(path.read_text() for path in files)
    code = re.sub(r'"\s*\n\s*[fr]?"', "", code)  # strings over several lines
    page = (ROOT / "docs/reference/troubleshooting.md").read_text()
    messages = re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE)
    assert len(messages) > 20
    for message in messages:
        for part in message.split("..."):
            assert part.strip(" :;,'()") in code, message


def test_pages_are_in_the_navigation():
    """A page that no table of contents lists would be missing on the site."""
    listed = set()
    for page in PAGES:
        for block in re.findall(r"^```\{toctree\}\n(.*?)^```", page.read_text(), re.M | re.DOTALL):
            for line in block.splitlines():
                if line and not line.startswith(":"):
                    listed.add((page.parent / f"{line}.md").resolve())
    pages = {page for page in PAGES if page.parent != ROOT} - {ROOT / "docs/index.md"}
    assert pages <= listed
