"""Inputs, targets and scales that a configuration takes from a data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from flare_mesh.cases.name_numbers import counts_cases
from flare_mesh.cases.target_scales import TargetScale, find_result, propose_scale
from flare_mesh.choices import nearest
from flare_mesh.datasets.data_summary import DataSummary, FieldSummary
from flare_mesh.mesh.mesh_storage import CELL_PREFIX, RESERVED

_RESERVED = RESERVED | {"x", "y", "weight", "case_id"}
_DECADES = 30.0  # 99th percentile over median, from where another normaliser may be better


@dataclass(frozen=True)
class CaseScalar:
    """A number for each case.

    Attributes:
        name: Its name.
        source: Where it is, in words, such as "the file names".
        values: Its value in each case that has it, by the name of the case.
        texts: How the values are written, if they are known as text or are integers.
    """

    name: str
    source: str
    values: Mapping[str, float]
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class FieldChoice:
    """The fields of a configuration.

    Attributes:
        inputs: Names of the inputs.
        targets: Names of the targets.
        scales: Scale of each target.
        left_out: Numbers and fields that are no inputs, with the reason.
        hints: Remarks about the targets.
        left_fields: Node and cell fields that are no inputs, but could be; those that may be given
            first.
    """

    inputs: tuple[str, ...]
    targets: tuple[str, ...]
    scales: dict[str, TargetScale]
    left_out: tuple[str, ...]
    hints: tuple[str, ...]
    left_fields: tuple[FieldSummary, ...] = ()


def choose_fields(
    summary: DataSummary,
    scalars: Sequence[CaseScalar],
    targets: str | Sequence[str] | None,
    inputs: str | Sequence[str] | None,
    *,
    skip_bad: bool = False,
    scaled: bool = True,
) -> FieldChoice:
    """Choose the inputs and scales for some targets.

    Inputs are all numbers of the case that vary, except those that count the cases and those that
    are equal to a number of a target, see
    :func:`~flare_mesh.cases.target_scales.find_result`; and ``inputs``. A node or cell field is an
    input only if it is asked for, since it may be a result.

    Args:
        summary: The data set.
        scalars: Numbers of the cases.
        targets: Names of the targets, or one text with commas between them.
        inputs: Names of more inputs, likewise.
        skip_bad: Whether cases that cannot be used are left out.
        scaled: Whether targets can be scaled.

    Raises:
        ValueError: If there are no targets, or a name is unknown, or a field cannot be used.
    """
    fields = summary.fields
    wanted = _split_names(targets, [*fields])
    if not wanted:
        raise ValueError(
            f"--targets: expected the fields to predict, with commas between them; {summary.place} "
            f"has {describe_fields(fields)}"
        )
    by_name = {scalar.name: scalar for scalar in scalars}
    asked = _split_names(inputs, [*fields, *by_name])
    for name in wanted:
        _check_target(name, summary, by_name, skip_bad=skip_bad)
    for name in asked:
        _check_input(name, summary, by_name, wanted, skip_bad=skip_bad)
    kept: list[str] = []
    left_out: list[str] = []
    for scalar in scalars:
        reason = (
            None
            if scalar.name in asked
            else _reason_to_leave(scalar, summary, wanted, kept, by_name)
        )
        if reason is None:
            kept.append(scalar.name)
        else:
            left_out.append(f"{scalar.name} ({scalar.source}): {reason}")
    others = [name for name in asked if name not in kept]
    left_fields: list[FieldSummary] = []
    for field in fields.values():
        if field.name in (*wanted, *kept, *others) or field.name in by_name:
            continue
        finite = all(one.finite for one in summary.statistics(field.name))
        if field.place == "case" and field.in_all and field.varies and finite:
            kept.append(field.name)
        elif not finite:
            left_out.append(f"{field.name} ({field.place}): has NaN or infinite values")
        else:
            left_out.append(_describe_left(field, summary))
            if _could_be_input(field, summary):
                left_fields.append(field)
    chosen = (*kept, *others)
    numbers = {name: by_name[name] for name in chosen if name in by_name}
    scales = {name: _scale(name, summary, numbers) for name in wanted} if scaled else {}
    hints = [hint for name in wanted for hint in target_hints(name, summary)]
    left_fields.sort(key=lambda field: not field.hint)
    return FieldChoice(
        chosen, tuple(wanted), scales, tuple(left_out), tuple(hints), tuple(left_fields)
    )


def describe_fields(fields: Mapping[str, FieldSummary]) -> str:
    """The fields that could be targets, in words."""
    found = [str(one) for one in fields.values() if one.place != "case"]
    return ", ".join(found) if found else "no node or cell fields"


def _split_names(names: str | Sequence[str] | None, known: Sequence[str]) -> list[str]:
    if names is None:
        return []
    given = [names] if isinstance(names, str) else list(names)
    found: list[str] = []
    for one in given:
        # A field may have a comma in its name.
        parts = [one] if one in known else [part.strip() for part in one.split(",")]
        found += [part for part in parts if part]
    return [*dict.fromkeys(found)]


def _check_target(
    name: str, summary: DataSummary, scalars: Mapping[str, CaseScalar], *, skip_bad: bool
) -> None:
    fields = summary.fields
    if name not in fields:
        what = f"it is a number of {scalars[name].source}" if name in scalars else "no such field"
        known = [one.name for one in fields.values() if one.place != "case"] or [*fields]
        advice = nearest(name, known)
        raise ValueError(f"--targets: '{name}': {what} in {summary.place}; {advice}")
    if name in scalars and scalars[name].source != "field data":
        raise ValueError(
            f"{summary.place}: '{name}' is a field of the files and a number of "
            f"{scalars[name].source}; rename the number, since only one can be read"
        )
    _check_usable("--targets", name, summary, skip_bad=skip_bad)
    if not fields[name].varies:
        raise ValueError(
            f"--targets: '{name}' is constant in all {len(summary.sampled)} cases looked at; there "
            f"is nothing to learn, choose another field"
        )


def _check_input(
    name: str,
    summary: DataSummary,
    scalars: Mapping[str, CaseScalar],
    targets: Sequence[str],
    *,
    skip_bad: bool,
) -> None:
    if name in targets:
        raise ValueError(f"--inputs: '{name}' is a target too; leave it out of one of them")
    if name in scalars:
        return
    if name not in summary.fields:
        known = [*summary.fields, *scalars]
        raise ValueError(
            f"--inputs: '{name}': no such field or number in {summary.place}; "
            f"{nearest(name, known)}"
        )
    _check_usable("--inputs", name, summary, skip_bad=skip_bad)


def _check_usable(option: str, name: str, summary: DataSummary, *, skip_bad: bool) -> None:
    if is_reserved(name):
        raise ValueError(f"{option}: the name '{name}' is reserved; rename that field")
    field, looked_at = summary.fields[name], len(summary.sampled)
    alike = [
        case.name
        for case in summary.sampled
        if name in case.fields and case.fields[name].channels == field.channels
    ]
    bad = [case.name for case in summary.sampled if case.name not in alike]
    reason = f"lack it with its {field.channels} channels"
    if not bad:
        bad = [case.name for case in summary.sampled if not case.fields[name].finite]
        reason = "have NaN or infinite values of it"
    if bad and not skip_bad:
        raise ValueError(
            f"{option}: '{name}': {len(bad)} of the {looked_at} cases looked at {reason}, such as "
            f"'{bad[0]}'; repair or remove them, or leave out such cases by --skip-bad"
        )


def is_reserved(name: str) -> bool:
    """Whether a name has another meaning in a case, so that no input or target can have it."""
    return name in _RESERVED or f"{name}_".startswith(CELL_PREFIX)


def _reason_to_leave(
    scalar: CaseScalar,
    summary: DataSummary,
    targets: Sequence[str],
    kept: Sequence[str],
    scalars: Mapping[str, CaseScalar],
) -> str | None:
    """Why a number is no input; None if it is one."""
    values = [*scalar.values.values()]
    if is_reserved(scalar.name):
        return "the name is reserved; rename it to use it"
    if max(values) - min(values) <= 1e-9 * max(map(abs, values)):
        return f"{values[0]:g} in all cases"
    if scalar.texts and counts_cases(scalar.texts):
        return f"only counts the cases; give --inputs {scalar.name} if it does not"
    for other in kept:
        theirs = scalars[other].values
        if all(theirs.get(case) == value for case, value in scalar.values.items()):
            return f"the same as {other}"
    for target in targets:
        cases = [
            case for case in summary.sampled if target in case.fields and case.name in scalar.values
        ]
        if scalar.source == "the file names" or len(cases) < 2:
            continue
        label = find_result(
            [scalar.values[one.name] for one in cases], [one.fields[target] for one in cases]
        )
        if label is not None:
            return (
                f"equal to the {label} of {target} in each case, so it seems to be a result; if it "
                f"is known before the simulation, give --inputs {scalar.name}"
            )
    return None


def _could_be_input(field: FieldSummary, summary: DataSummary) -> bool:
    return (
        field.place != "case"
        and field.in_all
        and field.varies
        and not is_reserved(field.name)
        and not (summary.fixed_mesh and field.name in summary.fixed_fields)
    )


def _describe_left(field: FieldSummary, summary: DataSummary) -> str:
    place = "field data" if field.place == "case" else f"{field.place} field"
    if field.in_all and not field.varies:
        return f"{field.name} ({place}): the same everywhere, in all cases"
    if summary.fixed_mesh and field.name in summary.fixed_fields:
        return f"{field.name} ({place}): the same in all cases"
    if not field.in_all:
        looked_at = len(summary.sampled)
        return f"{field.name} ({place}, not in all of the {looked_at} cases looked at)"
    if is_reserved(field.name):
        return f"{field.name} ({place}): the name is reserved; rename it to use it"
    hint = f"; with {field.hint} it may be given" if field.hint else ""
    return (
        f"{field.name} ({place}): it could be a result{hint}; if it is known before the "
        f"simulation, add it by --inputs {field.name}"
    )


def _scale(target: str, summary: DataSummary, scalars: Mapping[str, CaseScalar]) -> TargetScale:
    cases = [
        number
        for number, case in enumerate(summary.training)
        if target in case.fields and all(case.name in one.values for one in scalars.values())
    ]
    sampled = [summary.training[number] for number in cases]
    return propose_scale(
        [case.fields[target].rms for case in sampled],
        {name: [one.values[case.name] for case in sampled] for name, one in scalars.items()},
        {name: values[cases] for name, values in summary.sizes.items()},
        [*zip(*(case.fields[target].means for case in sampled), strict=True)],
    )


def target_hints(target: str, summary: DataSummary) -> list[str]:
    """A remark about a target whose values span decades within a case; empty otherwise."""
    found = summary.training_statistics(target)
    if not found:
        return []
    ratios = sorted(one.high / one.median if one.median else float("inf") for one in found)
    ratio = ratios[len(ratios) // 2]
    if ratio < _DECADES:
        return []
    positive = all(one.positive for one in found)
    names = "log or signed_root" if positive else "signed_root"
    factor = f"{ratio:.0f} times" if ratio < float("inf") else "far above"
    return [
        f"{target} has peaks: its 99th percentile is {factor} its median; the normaliser {names} "
        f"may be better for it"
    ]
