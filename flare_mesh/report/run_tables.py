"""Tables of a run: what was trained, errors, bands."""

from collections.abc import Mapping
from typing import Any

import yaml

from flare_mesh.report.html import Html, join, pairs, table, tag
from flare_mesh.report.numbers import UNKNOWN, mebibytes, percent, quantile, seconds, short
from flare_mesh.training.run_results import RunResults

_MAX_ROWS = 1_000


def settings(results: RunResults) -> list[Html]:
    """What was trained on what, where, and how long."""
    config, summary, environment = results.config, results.summary, results.environment
    data, model = _part(config, "data"), _part(config, "model")
    options = _part(data, "options")
    optimizer, schedule = _part(model, "optimizer"), _part(model, "schedule")
    versions = ", ".join(
        f"{name} {environment[name]}"
        for name in ("flare_mesh", "python", "torch")
        if environment.get(name)
    )
    rows: list[tuple[object, object]] = [
        ("data set", data.get("name")),
        ("folder of the data", data.get("root")),
        ("inputs", _names(options.get("inputs"))),
        ("fields", _names(results.errors or options.get("targets"))),
        ("cases", _counts(results)),
        ("features", _plain(data.get("features"))),
        ("model", _words(model.get("name"), model.get("size"))),
        ("options of the model", _plain(model.get("options"))),
        ("parameters", _integer(summary.get("parameters"))),
        ("scales", _plain(model.get("scale_by"))),
        ("loss", _part(model, "loss").get("name")),
        ("optimiser", _words(optimizer.get("name"), _labelled("rate", optimizer.get("lr")))),
        ("schedule", schedule.get("name")),
        ("cases of a batch", data.get("batch_size")),
        ("nodes drawn of a case", data.get("sample_nodes")),
        ("budget", config.get("budget")),
        ("training", _training(summary)),
        ("kept", _labelled("the weights of the epoch:", summary.get("kept"))),
        ("largest memory", _number(summary.get("peak_memory_bytes"), mebibytes)),
        ("seed", config.get("seed_everything")),
        (
            "device",
            _words(environment.get("device"), _labelled("threads:", environment.get("threads"))),
        ),
        ("versions", versions),
    ]
    text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
    whole = tag("details", tag("summary", "All options (config.yaml)"), tag("pre", text))
    return [pairs(rows), whole]


def error_table(results: RunResults) -> Html:
    """Relative L2 errors by field: mean and spread over the test cases, beside the baselines."""
    errors, baselines = results.errors, results.baselines
    averaged = results.averaged_errors
    head: list[object] = ["field", "mean"]
    head += ["averaged weights"] if averaged else []
    head += ["median", "10 % to 90 %", "largest", *baselines]
    rows = []
    for field, mean in errors.items():
        known = sorted(results.case_errors(field))
        best = min([mean, *(one[field] for one in baselines.values() if field in one)])
        row: list[object] = [field, _marked(mean, best)]
        row += [short(averaged.get(field))] if averaged else []
        if known:
            low, middle, high = (short(quantile(known, share)) for share in (0.1, 0.5, 0.9))
            row += [middle, f"{low} to {high}", short(known[-1])]
        else:
            row += [UNKNOWN] * 3
        row += [_marked(one.get(field), best) for one in baselines.values()]
        rows.append(row)
    return table(head, rows)


def case_table(results: RunResults, scores: Mapping[str, tuple[float, str]]) -> Html:
    """Errors of all test cases, the largest first, with their unlikeness where it is known."""
    names = [*reversed([*results.case_means()])]
    fields = [*results.errors] or sorted(
        {key for one in results.test_cases.values() for key in one}
    )
    head = ["case", *fields, *(["unlikeness"] if scores else [])]
    rows = []
    for name in names[:_MAX_ROWS]:
        row = [name, *(short(results.test_cases[name].get(field)) for field in fields)]
        if scores:
            row.append(short(scores[name][0]) if name in scores else UNKNOWN)
        rows.append(row)
    more = len(names) - len(rows)
    note = tag("p", f"{more:,} more cases are in test_cases.csv.", cls="note") if more else Html("")
    title = f"Errors of all {len(names):,} test cases, the largest first"
    return tag("details", tag("summary", title), table(head, rows), note)


def band_table(results: RunResults) -> list[Html]:
    """Nominal and reached coverage of the bands by field."""
    bands: Any = results.bands
    head = ["field", "nodes covered", "standard error", "to be expected", "half-width"]
    rows = []
    for field, covered in bands["covered"].items():
        likely = bands["likely"].get(field)
        between = UNKNOWN if likely is None else f"{percent(likely[0])} to {percent(likely[1])}"
        error, width = bands["covered_error"].get(field), bands["width"].get(field)
        rows.append([field, percent(covered), percent(error), between, percent(width)])
    text = (
        f"The bands are to cover {percent(bands['coverage'])} of the nodes of a new case. They "
        f"were calibrated on {bands['calibration_cases']} validation cases and tested on "
        f"{bands['cases']} test cases. The half-width is relative to the root mean square of the "
        f"field."
    )
    unlike = f"{percent(bands['unlike'])} of the test cases are unlike the training cases."
    return [tag("p", text), table(head, rows), tag("p", unlike)]


def _marked(value: float | None, best: float) -> Html | str:
    """A number, the best one in bold."""
    return tag("strong", short(value)) if value == best else short(value)


def _part(values: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    found = values.get(key)
    return found if isinstance(found, Mapping) else {}


def _names(given: object) -> str:
    if isinstance(given, str):
        return given
    return ", ".join(map(str, given)) if isinstance(given, list | tuple | Mapping) else ""


def _words(*parts: object) -> str:
    return ", ".join(str(part) for part in parts if part not in (None, ""))


def _labelled(label: str, value: object) -> str:
    return "" if value is None else f"{label} {value}"


def _plain(value: object) -> Html | None:
    """An option of any kind as YAML in one line."""
    if value in (None, [], {}):
        return None
    text = yaml.safe_dump(value, default_flow_style=True, width=10**6, allow_unicode=True)
    return join([text.strip().removesuffix("...").strip()])


def _integer(value: object) -> str:
    return f"{value:,}" if isinstance(value, int) else ""


def _number(value: object, form: Any) -> str:
    return form(value) if isinstance(value, int | float) else ""


def _counts(results: RunResults) -> str:
    names = {"train": "to train on", "val": "to validate on", "test": "to test on"}
    found = []
    for stage, text in names.items():
        count = _part(results.splits, stage).get("count")
        if isinstance(count, int):
            found.append(f"{count:,} {text}")
    return ", ".join(found)


def _training(summary: Mapping[str, Any]) -> str:
    found = []
    for key, text in (
        ("steps", "steps"),
        ("epochs", "epochs"),
        ("passes", "passes over the cases"),
    ):
        value = summary.get(key)
        if isinstance(value, int | float):
            found.append(
                f"{value:,.4g} {text}" if isinstance(value, float) else f"{value:,} {text}"
            )
    if isinstance(summary.get("train_seconds"), int | float):
        found.append(seconds(summary["train_seconds"]))
    return ", ".join(found)
