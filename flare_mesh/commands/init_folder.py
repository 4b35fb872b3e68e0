"""Configuration for a folder of mesh files."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flare_mesh.commands.init_fields import CaseScalar, FieldChoice, choose_fields
from flare_mesh.commands.init_settings import FEWEST_CASES, Settings, choose_settings
from flare_mesh.commands.init_text import config_text
from flare_mesh.commands.init_variation import check_variation, describe_left_fields
from flare_mesh.datasets.folder_summary import FolderSummary, summarize_folder


def folder_config(
    folder: str,
    *,
    targets: str | Sequence[str] | None,
    inputs: str | Sequence[str] | None,
    budget: str,
    out: str,
    table: str | None,
    series: int | None,
    skip_bad: bool,
) -> tuple[str, list[str]]:
    """Text of the configuration for a folder, and lines about what was found.

    Arguments are those of :func:`~flare_mesh.commands.init.init`.

    Raises:
        FileNotFoundError: If the folder does not exist or has no cases.
        ValueError: If cases, fields or the table cannot be used.
    """
    if series is not None and series < 1:
        raise ValueError(f"--series: expected at least 1 step (got {series})")
    summary = summarize_folder(folder, table=table, series=series is not None, skip_bad=skip_bad)
    _check_cases(summary, series, skip_bad=skip_bad)
    scalars = case_scalars(summary)
    fields = choose_fields(
        summary,
        scalars,
        targets,
        inputs,
        skip_bad=skip_bad,
        scaled=series is None,
    )
    known = summary.fields
    channels = sum(known[one].channels if one in known else 1 for one in fields.inputs)
    channels += sum(known[one].channels for one in fields.targets)
    settings = choose_settings(summary, channels)
    options = _options(summary, fields, series, skip_bad=skip_bad)
    if series is None:  # whose first steps are inputs, and differ
        check_variation(summary, fields, scalars)
    found = [summary.describe_cases(), summary.describe_meshes(), settings.describe()]
    left_out = [*fields.left_out, *_notes(summary)]
    comments = {
        "inputs": ["Left out:", *(f"- {one}" for one in left_out)] if left_out else [],
        "weights": ["Shares of volume or area of the nodes, so that fine regions count no more."],
        "step": [_step_text(summary)] if "step" in options else [],
        "window": [_window_text(summary)] if "window" in options else [],
    }
    call = [f"flare-mesh init {folder} --targets {','.join(fields.targets)}"]
    text = config_text(
        [f"Written by: {call[0]}", *found, f"Train by: flare-mesh fit --config {out}"],
        run=f"runs/{_run_name(Path(folder))}",
        budget=budget,
        name="mesh_folder",
        root=folder,
        kind=summary.kind,
        options=options,
        comments={key: value for key, value in comments.items() if value},
        fields=fields,
        settings=settings,
        rollout=series is not None,
    )
    return text, [*found, *describe_choice(fields, left_out, settings)]


def case_scalars(summary: FolderSummary) -> list[CaseScalar]:
    """The numbers of the cases in their names, the table and the field data of the files."""
    names = summary.case_names
    found = [
        CaseScalar(name, "the file names", dict(zip(names, values, strict=True)))
        for name, values in summary.names.values.items()
    ]
    table = summary.table
    for name, column in ({} if table is None else table.columns).items():
        values = {
            case: value for case, value in zip(names, column, strict=True) if value is not None
        }
        texts = tuple(f"{value:.0f}" for value in values.values() if value == round(value))
        texts = texts if len(texts) == len(values) else ()
        found.append(CaseScalar(name, "the table", values, texts))
    taken = {scalar.name for scalar in found}
    for field in summary.fields.values():
        if (
            field.place == "case"
            and field.channels == 1
            and field.in_all
            and field.name not in taken
            and all(one.finite for one in summary.statistics(field.name))
        ):
            values = {case.name: case.fields[field.name].values[0] for case in summary.sampled}
            found.append(CaseScalar(field.name, "field data", values))
    return found


def describe_choice(fields: FieldChoice, left_out: Sequence[str], settings: Settings) -> list[str]:
    """Lines about inputs, scales, what is left out, and cases held out."""
    scaled = [
        f"{name} / {' / '.join(one.scale)}" for name, one in fields.scales.items() if one.scale
    ]
    lines = [f"inputs: {', '.join(fields.inputs) or 'none but the geometry'}"]
    lines += [f"scales: {', '.join(scaled) or 'none'}"]
    lines += describe_left_fields(fields.left_fields)
    names = {field.name for field in fields.left_fields}
    others = [one for one in left_out if one.partition(" (")[0] not in names]
    lines += [f"left out: {one}" for one in others[:4]]
    if len(others) > 4:
        lines.append(f"left out: {len(others) - 4} more, see the comments of the file")
    if settings.val_split is None:
        lines.append(
            f"{settings.num_train} cases to train on are too few to hold some out, so predictions "
            f"will have no bands; better have 10 or more"
        )
    return lines


def _check_cases(summary: FolderSummary, series: int | None, *, skip_bad: bool) -> None:
    if summary.num_cases < FEWEST_CASES:
        choose_settings(summary, 0)  # raises
    if series is not None and summary.steps[0] < series + 1:
        raise ValueError(
            f"{summary.root}: --series {series} needs {series + 1} steps (got {summary.steps[0]} "
            f"in some series); lower --series"
        )
    table = summary.table
    if table is not None and table.missing and not skip_bad:
        raise ValueError(
            f"{table.path}: no row for {len(table.missing)} of the {summary.num_cases} cases, such "
            f"as '{table.missing[0]}'; add rows, or leave out such cases by --skip-bad"
        )


def _options(
    summary: FolderSummary, fields: FieldChoice, series: int | None, *, skip_bad: bool
) -> dict[str, Any]:
    inputs = [*fields.inputs]
    if series is not None:
        inputs += [name for name in fields.targets if name not in inputs]
    options: dict[str, Any] = {"inputs": inputs, "targets": [*fields.targets]}
    units = {
        name: summary.units[name] for name in [*inputs, *fields.targets] if name in summary.units
    }
    options |= {"units": units} if units else {}
    if any(name in fields.inputs for name in summary.names.values):
        options["name_pattern"] = summary.names.pattern
    table = summary.table
    if table is not None and any(name in fields.inputs for name in table.columns):
        options["table"] = Path(os.path.relpath(table.path, summary.root)).as_posix()
        hidden = {*options["inputs"], *fields.targets} & {*table.header} - {*table.columns}
        if hidden:
            raise ValueError(
                f"{table.path}: the column '{hidden.pop()}' has the name of a field of the files, "
                f"and not a number for each case; rename it, since the table comes first"
            )
    options |= {"window": [series, 1]} if series is not None else {}
    options |= {"step": -1} if series is None and summary.has_steps else {}
    options |= {"weights": True} if summary.kind != "points" else {}
    options |= {"origin": [*summary.origin]} if summary.origin is not None else {}
    return options | ({"skip_bad": True} if skip_bad else {})


def _notes(summary: FolderSummary) -> list[str]:
    table = [] if summary.table is None else [f"{one} (the table)" for one in summary.table.notes]
    return [*summary.names.notes, *table]


def _step_text(summary: FolderSummary) -> str:
    low, high = summary.steps
    steps = f"{low} to {high}" if low < high else f"{high}" if high > 1 else "several"
    return (
        f"The files have {steps} time steps, of which this takes the last. To predict each step "
        f"from the one before, write the file again by init with --series 1."
    )


def _window_text(summary: FolderSummary) -> str:
    low, high = summary.steps
    steps = low if low == high else f"{low} to {high}"
    return (
        f"Steps in and out, of the {steps} steps of each series; predict --num-steps N predicts "
        f"more."
    )


def _run_name(folder: Path) -> str:
    return folder.resolve().name or "run"
