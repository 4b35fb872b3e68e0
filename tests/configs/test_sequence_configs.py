"""Configurations of the Long Range Arena, whose 35 files must not drift apart."""

import inspect
import re
from types import SimpleNamespace

import pytest

from flare_mesh.commands.option_check import check_config_file
from flare_mesh.commands.train_sequences import SequenceCLI
from flare_mesh.configs import config_names, find_config
from flare_mesh.datasets import lra
from flare_mesh.datasets.lra import SEQUENCE_DATASETS
from flare_mesh.training import OptimizerConfig, ScheduleConfig, SequenceDataModule
from flare_mesh.training.build_sequences import build_sequence_module, check_sequence_model

# Classes, ids of tokens, documents, largest length; places of the published tables, blocks,
# channels, hidden layers of the head.
TASKS = {
    "listops": ((10, 16, 1, 2000), (2048, 4, 128, 0)),
    "text": ((2, 257, 1, 4000), (4096, 4, 128, 1)),
    "retrieval": ((2, 257, 2, 4000), (4096, 4, 128, 0)),
    "image": ((10, 256, 1, 1024), (1024, 3, 64, 1)),
    "pathfinder": ((2, 256, 1, 1024), (1024, 4, 128, 1)),
}
# Accuracy in % on the five tasks: arXiv 2508.12594, FLARE++ arXiv 2608.11519.
PUBLISHED = {
    "softmax": (36.70, 64.93, 77.18, 38.02, 70.52),
    "linear": (17.15, 66.00, 71.84, 9.86, 75.00),
    "linformer": (36.70, 53.00, 64.72, 41.88, 70.09),
    "performer": (35.90, 64.21, 68.42, 35.36, 53.83),
    "flare": (36.15, 64.00, 77.30, 40.96, 71.91),
    "flarepp": (38.05, 66.56, 78.31, 42.04, 76.85),
    "multilinear": None,
}
LATENTS = {"image": 256}
NARROW = {("pathfinder", "softmax"), ("pathfinder", "performer")}  # MLPs as wide as the tokens


class ParseOnly(SequenceCLI):
    """The command's parser without what follows."""

    def before_instantiate_classes(self):
        pass

    def instantiate_classes(self):
        pass

    def _run_subcommand(self, subcommand):
        pass


@pytest.fixture(scope="module")
def known():
    cli = ParseOnly(["fit", "--config", str(find_config("lra_pathfinder_softmax"))])
    assert cli.options.model.optimizer.betas == (0.9, 0.98)
    names = {action.dest for action in cli._parser("fit")._actions}
    return {name for name in names if not name.endswith(".help")} - {"model", "data", "trainer"}


def residual_mlp(c, layers):
    """Parameters of a ResidualMLP of equal widths."""
    return (layers + 2) * (c * c + c)


def expected_parameters(task, model):
    """Parameters by the formulas of the layers, not by those of the code."""
    (classes, words, documents, _), (places, blocks, c, hidden) = TASKS[task]
    rms = task == "pathfinder" and model in ("softmax", "linear", "linformer")
    norm = c if rms else 2 * c
    class_token = task == "text"
    rotary = class_token and model in ("softmax", "performer", "flare", "flarepp")
    wide = 1 if (task, model) in NARROW else 2 if task == "image" else 4
    mlp = 2 * wide * c * c + wide * c + c
    mixing = 4 * c * c + 4 * c
    if model == "linformer":
        mixing += 2 * (places + class_token) * (128 if task == "listops" else 256)
    elif model == "multilinear":
        mixing += 2 * c
    elif model in ("flare", "flarepp"):
        latents = LATENTS.get(task, 128) * c
        deep = (2, 1) if task == "image" else (3, 3)
        mixing = 2 * residual_mlp(c, deep[0]) + latents + c * c + c
        mlp = residual_mlp(c, deep[1])
        if model == "flarepp":
            # Keys, values and the output; the seeds' keys without bias, queries, a gate a head.
            mixing = 3 * (c * c + c) + c * c + 2 * latents + 8 + c // 8
            mlp = 2 * 2 * c * c + 3 * c
    embedded = words * c + (0 if rotary else (places + class_token) * c) + class_token * c
    head = hidden * (documents * c * c + c) + (c if hidden else documents * c) * classes + classes
    pooled = norm * (1 if class_token else 2)
    return embedded + blocks * (mixing + mlp + 2 * norm) + pooled + head


def test_every_model_has_every_task():
    names = {name for name in config_names() if name.startswith("lra_")}
    published = {f"lra_{task}_{model}" for task in TASKS for model in PUBLISHED}
    assert {name for name in names if not name.endswith("_cpu")} == published


@pytest.mark.parametrize("model", PUBLISHED)
@pytest.mark.parametrize("task", TASKS)
def test_published_settings(known, monkeypatch, task, model):
    path = find_config(f"lra_{task}_{model}")
    values = check_config_file(path, known)
    comment = " ".join(line[2:] for line in path.read_text().splitlines() if line[0] == "#")
    assert values["out"] == f"runs/{path.stem}"
    assert values["data"]["name"] == f"lra_{task}"
    (classes, words, documents, length), _ = TASKS[task]
    sample = SimpleNamespace(
        num_classes=classes,
        vocabulary_size=words,
        in_channels=None,
        documents=documents,
        max_length=length,
    )
    monkeypatch.setattr(SequenceDataModule, "dataset", lambda self, stage: sample)
    given = values["model"]
    module = build_sequence_module(
        SequenceDataModule(**values["data"]),
        given["name"],
        options=given["options"],
        optimizer=OptimizerConfig(**given["optimizer"]),
        schedule=ScheduleConfig(**given["schedule"]),
        ema=given.get("ema"),
    )
    count = sum(p.numel() for p in module.model.parameters())
    assert count == expected_parameters(task, model)
    assert f"{count:,} parameters with {words} tokens" in comment
    accuracy = PUBLISHED[model]
    if accuracy is not None:
        assert f"published accuracy {accuracy[[*TASKS].index(task)]:.2f} % (arXiv 2" in comment
    # What all files of a task and of the comparison have in common.
    steps = {"listops": 10_000, "text": 20_000, "retrieval": 10_000, "image": 20_000}
    assert values["trainer"].get("max_steps") == steps.get(task)
    assert (values["trainer"].get("max_epochs") == 200) == (task == "pathfinder")
    assert module.optimizer.betas == [0.9, 0.98]
    if module.schedule.name == "one_cycle":  # ends at a hundredth of the largest rate
        assert module.schedule.div_factor * module.schedule.final_div_factor == 100


@pytest.mark.parametrize("task", TASKS)
def test_settings_for_a_processor(known, task):
    """The small ones name the accuracy that was reached, and options that exist."""
    path = find_config(f"lra_{task}_cpu")
    values = check_config_file(path, known)
    comment = " ".join(line[2:] for line in path.read_text().splitlines() if line[0] == "#")
    reached = re.search(
        r"accuracy of (\d\d\.\d) % on the test samples; the most frequent class has (\d\d\.\d) %",
        comment,
    )
    assert float(reached[1]) > float(reached[2])
    assert f"lra_{task}_flare." in comment
    assert values["out"] == f"runs/{path.stem}"
    check_sequence_model(values["model"]["name"], values["model"]["options"])
    OptimizerConfig(**values["model"]["optimizer"])
    ScheduleConfig(**values["model"]["schedule"])
    data = SequenceDataModule(**values["data"])
    known_options = inspect.signature(getattr(lra, SEQUENCE_DATASETS[data.name])).parameters
    assert data.options.keys() <= known_options.keys()
