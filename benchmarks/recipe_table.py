"""Tables of ``benchmarks/recipe.py``."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any


def summarize(runs: Sequence[Mapping[str, Any]], baselines: Mapping[str, Any]) -> dict[str, Any]:
    """Errors of one configuration over its seeds, against the best baseline.

    Args:
        runs: Results of :func:`recipe_runs.train`, one per seed.
        baselines: Result of :func:`recipe_runs.measure_baselines`.

    Returns:
        ``fields``: for each field the ``error`` (mean over the seeds), ``spread`` (standard
        deviation), ``coverage`` of the bands, ``width`` of the bands over the field's root mean
        square, and for ``plain`` and ``scaled`` baselines the best one with its error and the
        improvement in per cent. ``mean``: the same of the mean over the fields. Further the
        parameters, steps, seconds, and the share of test cases unlike the training cases.
    """
    done = [run for run in runs if not run["failed"]]
    row: dict[str, Any] = {"failed": [run["failed"] for run in runs if run["failed"]]}
    if not done:
        return row
    summaries = [run["summary"] for run in done]
    fields = [*summaries[0]["test_relative_l2"]]
    row["fields"] = {}
    for field in fields:
        errors = [summary["test_relative_l2"][field] for summary in summaries]
        entry = _statistics(errors)
        for key, name in (("coverage", "covered"), ("width", "width")):
            values = [summary["bands"][name][field] for summary in summaries if "bands" in summary]
            entry[key] = statistics.mean(values) if values else None
        row["fields"][field] = entry | _against(baselines, [field], entry["error"])
    errors = [statistics.mean(summary["test_relative_l2"].values()) for summary in summaries]
    row["mean"] = _statistics(errors) | _against(baselines, fields, statistics.mean(errors))
    row["unlike"] = _mean(
        [summary["bands"]["unlike"] for summary in summaries if "bands" in summary]
    )
    for key in ("parameters", "steps", "train_seconds"):
        row[key] = _mean([summary[key] for summary in summaries])
    row["wall_seconds"] = _mean([run["wall_seconds"] for run in done])
    row["seeds"] = len(done)
    return row


def _statistics(errors: Sequence[float]) -> dict[str, float]:
    spread = statistics.stdev(errors) if len(errors) > 1 else 0.0
    return {"error": statistics.mean(errors), "spread": spread}


def _mean(values: Sequence[float]) -> float | None:
    return statistics.mean(values) if values else None


def _against(
    baselines: Mapping[str, Any], fields: Sequence[str], error: float
) -> dict[str, dict[str, Any]]:
    """The best baseline of each kind, and how much smaller an error is, in per cent."""
    found = {}
    for kind in ("plain", "scaled"):
        means = {
            name: statistics.mean(result["errors"][field] for field in fields)
            for name, result in baselines.get(kind, {}).items()
            if result["errors"]
        }
        if means:
            best = min(means, key=lambda name: means[name])
            improvement = 100 * (1 - error / means[best])
            found[kind] = {"best": best, "error": means[best], "improvement": improvement}
    return found


def markdown(results: Mapping[str, Any]) -> str:
    """All tables of the results as text."""
    about = results["machine"]
    sets = results["sets"]
    parts = [
        f"{about['processor']}, {about['cores']} cores, torch {about['torch']}; budget "
        f"{results['budget']}, {results['seeds']} seeds. Relative L2 errors on test cases, mean "
        f"and standard deviation over the seeds.",
        table(
            "set | field | error | best baseline | better by | with the same scales | better by "
            "| covered | band",
            [
                row
                for name, found in sets.items()
                if "fields" in found["variants"].get("base", {})
                for row in _field_rows(name, found["variants"]["base"])
            ],
        ),
        table(
            "set | parameters | steps | training, s | command, s | unlike",
            [
                [
                    name,
                    _number(base["parameters"], ",.0f"),
                    _number(base["steps"], ",.0f"),
                    _number(base["train_seconds"], ".0f"),
                    _number(base["wall_seconds"], ".0f"),
                    _number(base["unlike"], ".0%"),
                ]
                for name, found in sets.items()
                if "fields" in (base := found["variants"].get("base", {}))
            ],
        ),
        _baseline_table(sets),
    ]
    names = [*dict.fromkeys(v for found in sets.values() for v in found["variants"] if v != "base")]
    if names:
        rows = [_variant_row(name, sets) for name in names]
        parts.append(
            "Error of each variant over that of the configuration as `init` writes it, in the mean "
            "over the fields (below 1: the variant is better).\n\n"
            + table(" | ".join(["variant", *sets]), rows)
        )
    failed = [
        f"- {name}, {variant}: {message}"
        for name, found in sets.items()
        for variant, row in found["variants"].items()
        for message in row["failed"]
    ]
    if failed:
        parts.append("Failed runs:\n\n" + "\n".join(failed))
    return "\n\n".join(parts) + "\n"


def _field_rows(name: str, base: Mapping[str, Any]) -> list[list[str]]:
    rows = []
    entries = {**base["fields"], **({"mean": base["mean"]} if len(base["fields"]) > 1 else {})}
    for field, entry in entries.items():
        row = [name, field, f"{entry['error']:.4f} ± {entry['spread']:.4f}"]
        for kind in ("plain", "scaled"):
            best = entry.get(kind)
            row += (
                [f"{best['best']} {best['error']:.4f}", f"{best['improvement']:.0f} %"]
                if best
                else ["", ""]
            )
        row += [_number(entry.get("coverage"), ".1%"), _number(entry.get("width"), ".3f")]
        rows.append(row)
    return rows


def _baseline_table(sets: Mapping[str, Any]) -> str:
    names = [
        *dict.fromkeys(b for found in sets.values() for b in found["baselines"].get("plain", {}))
    ]
    rows = []
    for name, found in sets.items():
        for kind in ("plain", "scaled"):
            known = found["baselines"].get(kind, {})
            if known:
                errors = [known[baseline]["errors"] for baseline in names]
                label = name if kind == "plain" else f"{name}, over the scales"
                means = [statistics.mean(e.values()) if e else None for e in errors]
                rows.append([label, *(_number(mean, ".4f") for mean in means)])
    return table(" | ".join(["baselines, mean over the fields", *names]), rows)


def _variant_row(name: str, sets: Mapping[str, Any]) -> list[str]:
    row = [name]
    for found in sets.values():
        base, other = (found["variants"].get(v, {}).get("mean") for v in ("base", name))
        row.append(f"{other['error'] / base['error']:.2f}" if base and other else "")
    return row


def _number(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


def table(header: str, rows: Sequence[Sequence[str]]) -> str:
    """A table of markdown.

    Args:
        header: Names of the columns, with ``|`` between them.
        rows: Entries of the rows.
    """
    columns = header.count("|") + 1
    lines = [f"| {header} |", "|" + "---|" * columns]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])
