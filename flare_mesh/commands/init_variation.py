"""Whether a model can learn anything: some input must differ between the cases."""

from collections.abc import Sequence

from flare_mesh.commands.init_fields import CaseScalar, FieldChoice
from flare_mesh.datasets.data_summary import DataSummary, FieldSummary

_SHOWN = 6  # names in a line


def check_variation(
    summary: DataSummary, fields: FieldChoice, scalars: Sequence[CaseScalar] = ()
) -> None:
    """Refuse inputs that are the same in all cases, on a mesh that is the same in all.

    Args:
        summary: The data set.
        fields: The chosen inputs, and fields that could be.
        scalars: Numbers of the cases.

    Raises:
        ValueError: If nothing differs; names the fields that could be inputs.
    """
    if len(summary.sampled) < 2 or not summary.fixed_mesh:
        return
    varies = {one.name: len({*one.values.values()}) > 1 for one in scalars}
    if any(varies.get(name, name not in summary.fixed_fields) for name in fields.inputs):
        return
    taken = {*fields.inputs, *fields.targets}
    more = sorted(name for name, yes in varies.items() if yes and name not in taken)
    found = [*map(_describe, fields.left_fields), *more]
    start = (
        f"{summary.place}: all cases have the same mesh, and no input differs between them, so all "
        f"would get the same prediction"
    )
    if not found:
        raise ValueError(
            f"{start}; put the numbers that differ between the cases into the file names, the "
            f"field data or a CSV file beside the folder"
        )
    raise ValueError(
        f"{start}; give what is known before the simulation by --inputs, and no results: choose "
        f"from {_some(found)}"
    )


def describe_left_fields(fields: Sequence[FieldSummary]) -> list[str]:
    """A line about node and cell fields that are no inputs; empty if there are none."""
    if not fields:
        return []
    given = [field.name for field in fields if field.hint]
    names = ",".join(given) if given else "NAME"
    return [
        f"fields left out, since results must not be inputs: {_some([*map(_describe, fields)])}; "
        f"take one that is known before the simulation by --inputs {names}"
    ]


def _describe(field: FieldSummary) -> str:
    return f"{field.name} ({field.hint})" if field.hint else field.name


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"
