"""Configuration for a data set of the library."""

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.cases.case_statistics import case_statistics
from flare_mesh.cases.target_scales import propose_scale
from flare_mesh.commands.init_fields import FieldChoice, target_hints
from flare_mesh.commands.init_folder import describe_choice
from flare_mesh.commands.init_settings import choose_settings
from flare_mesh.commands.init_text import config_text
from flare_mesh.commands.init_variation import check_variation
from flare_mesh.data.splits import spaced_indices
from flare_mesh.data.transforms.channels import Channel, components
from flare_mesh.data.transforms.checks import AXES
from flare_mesh.data.transforms.resolver import appended_channels, build_transform
from flare_mesh.data.transforms.square_columns import square_columns
from flare_mesh.datasets.data_summary import DataSummary
from flare_mesh.datasets.field_dataset import FieldDataset
from flare_mesh.datasets.fixed_mesh import FixedMesh
from flare_mesh.datasets.registry import build, check_options

_MAX_CASES = 16  # that are read


def dataset_config(
    folder: str,
    data: str,
    *,
    options: Mapping[str, Any],
    targets: str | Sequence[str] | None,
    inputs: str | Sequence[str] | None,
    budget: str,
    out: str,
) -> tuple[str, list[str]]:
    """Text of the configuration for a data set, and lines about what was found.

    Arguments are those of :func:`~flare_mesh.commands.init.init`. The inputs and targets are by
    default those of the data set.

    Raises:
        FileNotFoundError: If its files are missing.
        ValueError: If the data set or a field is unknown, or a case cannot be used.
    """
    given = dict(options)
    known = inspect.signature(check_options(data, given)).parameters
    for option, value in (("inputs", inputs), ("targets", targets)):
        if value is None:
            continue
        if option not in known:
            raise ValueError(f"--{option}: fixed by the data set '{data}'; leave it out")
        given[option] = value.split(",") if isinstance(value, str) else [*value]
    train, test = (build(data, folder, split, **given) for split in ("train", "test"))
    summary = _summarize(train, len(test))
    channels = [*train.input_channels.values(), *train.target_channels.values()]
    settings = choose_settings(summary, sum(channels))
    fields = _choose(train, summary, feature_sizes(train))
    check_variation(summary, fields)
    symmetry = train.square_symmetry()
    grid = "" if train.grid_shape is None else f" on a grid of {train.grid_shape}"
    found = [
        f"{data} in {folder}: {summary.num_cases} cases{grid}; {len(summary.sampled)} were read",
        summary.describe_meshes(),
        settings.describe(),
    ]
    text = config_text(
        [
            f"Written by: flare-mesh init {folder} --data {data}",
            *found,
            f"Train by: flare-mesh fit --config {out}",
        ],
        run=f"runs/{data}",
        budget=budget,
        name=data,
        root=folder,
        kind=summary.kind,
        options=given,
        comments={},
        fields=fields,
        settings=settings,
        features=train.FEATURES,
        symmetry=symmetry,
        columns=_symmetry_columns(train, summary.kind) if symmetry.holds else None,
    )
    return text, [*found, *describe_choice(fields, (), settings)]


def _symmetry_columns(train: FieldDataset, kind: str) -> dict[str, dict[str, list[int]]]:
    """Options of ``random_square_symmetry`` for the cases with their features."""

    def channels(fields: Mapping[str, int]) -> list[Channel]:
        found: list[Channel] = []
        for name, size in fields.items():
            if name in train.VECTORS:
                found += components(name, AXES[:size], kind="vector")
            else:
                found += [Channel(name)] * size
        return found

    specs = [*train.FEATURES, {"geometry_features": {"kind": kind}}]
    fields = {
        "pos": components("pos", AXES, kind="vector"),
        "x": [*channels(train.input_channels), *appended_channels(specs, len(AXES))],
        "y": channels(train.target_channels),
    }
    columns = {key: square_columns(own) for key, own in fields.items()}
    return {
        option: {key: pair[number] for key, pair in columns.items() if pair[number]}
        for number, option in enumerate(("vectors", "sizes"))
    }


def _summarize(train: FieldDataset, num_test: int) -> DataSummary:
    sampled, fixed = [], FixedMesh()
    for number in spaced_indices(len(train), _MAX_CASES):
        mesh = train.get(number)
        sampled.append(case_statistics(str(train.cases[number]), mesh))
        fixed.add(mesh)
    return DataSummary(
        place=str(train.root),
        num_cases=len(train) + num_test,
        splits={"train": len(train), "test": num_test},
        case_names=tuple(map(str, train.cases)),
        sampled=tuple(sampled),
        training=tuple(sampled),
        fixed_mesh=fixed.same_mesh,
        fixed_fields=fixed.same_fields,
        static_fields=frozenset(),
        units=dict(train.UNITS),
    )


def feature_sizes(train: FieldDataset) -> dict[str, NDArray[np.float64]]:
    """Sizes of the cases that are read, among the features of the data set, by their names.

    They are the channels that are logarithms, each of which is one number for a case.
    """
    found: dict[str, list[float]] = {}
    for spec in train.FEATURES:
        channels = appended_channels([spec], len(AXES))
        columns = [i - len(channels) for i, channel in enumerate(channels) if channel.log]
        if not columns:
            continue
        transform = build_transform(spec)
        for number in spaced_indices(len(train), _MAX_CASES):
            x = transform(train.get(number)).x
            for column in columns:
                found.setdefault(channels[column].name, []).append(float(x[0, column]))
    return {name: np.exp(values) for name, values in found.items()}


def _choose(
    train: FieldDataset, summary: DataSummary, sizes: Mapping[str, NDArray[np.float64]]
) -> FieldChoice:
    scales = {}
    known = summary.fields
    numbers = {
        name: [one.values[0] for one in summary.statistics(name)]
        for name in train.inputs
        if name in known and known[name].place == "case" and known[name].channels == 1
    }
    if getattr(train, "window", None) is None:
        scales = {
            name: propose_scale(
                [one.rms for one in summary.statistics(name)],
                numbers,
                {**summary.sizes, **sizes},
                [*zip(*(one.means for one in summary.statistics(name)), strict=True)],
            )
            for name in train.targets
        }
    hints = [hint for name in train.targets for hint in target_hints(name, summary)]
    return FieldChoice(train.inputs, train.targets, scales, (), tuple(hints))
