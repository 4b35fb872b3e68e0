"""The option ``scale_by``: which inputs and power laws are the scale of which field."""

from collections.abc import Collection, Mapping, Sequence
from itertools import accumulate

from flare_mesh.choices import check_choice

POWER_LAW = "power_law"
"""Scale that is fitted to the sizes of the training cases."""

ScaleBy = Mapping[str, str | Sequence[str]]


def read_scale_by(
    scale_by: ScaleBy, fields: Collection[str], inputs: Mapping[str, int]
) -> tuple[dict[str, list[int]], list[str]]:
    """Read the scale of each field.

    Args:
        scale_by: Name of an input, ``"power_law"``, or a list of these, for each scaled field.
        fields: Names of all fields.
        inputs: Channels of each field in x, in order; the first channels of x.

    Returns:
        The channels of x that are factors of each scaled field, and the fields with a power law.

    Raises:
        ValueError: If a field or input is unknown, has several channels, or is repeated.
    """
    first = dict(zip(inputs, accumulate([0, *inputs.values()]), strict=False))
    factors: dict[str, list[int]] = {}
    laws = []
    for field, given in scale_by.items():
        check_choice("scale_by: unknown field", field, fields)
        names = [given] if isinstance(given, str) else list(given)
        if not names or len({*names}) < len(names):
            raise ValueError(
                f"scale_by.{field}: expected the name of an input, '{POWER_LAW}', or a list of "
                f"different ones (got {names})"
            )
        factors[field] = []
        for name in names:
            check_choice(f"scale_by.{field}: unknown input", name, [*inputs, POWER_LAW])
            if name == POWER_LAW:
                laws.append(field)
            elif inputs[name] != 1:
                raise ValueError(
                    f"scale_by.{field}: expected an input of one channel ('{name}' has "
                    f"{inputs[name]}); take '{POWER_LAW}'"
                )
            else:
                factors[field].append(first[name])
    return factors, laws


def find_dropped(
    factors: Mapping[str, list[int]],
    laws: Collection[str],
    fields: Collection[str],
    names: Sequence[str],
) -> list[int]:
    """Channels of x that a model need not see, since they are factors of the scales.

    Args:
        factors: As returned by :func:`read_scale_by`.
        laws: As returned by :func:`read_scale_by`.
        fields: Names of all fields.
        names: Names of all channels of x.

    Raises:
        ValueError: If there is none, or a field would not depend on it at all.
    """
    found = sorted({channel for channels in factors.values() for channel in channels})
    if not found:
        raise ValueError(
            "drop_scales: no target is divided by an input; set scale_by, such as "
            "{displacement: load}, or leave drop_scales out"
        )
    for channel in found:
        for field in fields:
            if channel not in factors.get(field, ()) and field not in laws:
                raise ValueError(
                    f"drop_scales: '{field}' is not divided by '{names[channel]}' and would not "
                    f"depend on it; add it or '{POWER_LAW}' to scale_by.{field}, or leave "
                    f"drop_scales out"
                )
    return found
