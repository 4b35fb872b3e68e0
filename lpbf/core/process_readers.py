"""Values of a process from plain ones, as a file holds them."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from lpbf.core.base_plate import BasePlate
from lpbf.core.from_dict import from_dict
from lpbf.core.heat import Heat
from lpbf.core.machine import Machine
from lpbf.core.material import TABLE_PROPERTIES, Material
from lpbf.core.strain_source import StrainSource
from lpbf.core.supports import Supports
from lpbf.core.table import Table


def _read_material(value: Any) -> str | Material:
    if not isinstance(value, Mapping):
        return value
    return from_dict(Material, value, dict.fromkeys(TABLE_PROPERTIES, _read_table))


def _read_machine(value: Any) -> Any:
    return value if isinstance(value, str) else from_dict(Machine, value)


def _read_supports(value: Any) -> Any:
    return value if isinstance(value, bool) else from_dict(Supports, value)


def _read_table(value: Any) -> Any:
    return from_dict(Table, value) if isinstance(value, Mapping) else value


PROCESS_READERS: dict[str, Callable[[Any], Any]] = {
    "base_plate": partial(from_dict, BasePlate),
    "heat": partial(from_dict, Heat),
    "machine": _read_machine,
    "material": _read_material,
    "strain_source": partial(from_dict, StrainSource),
    "supports": _read_supports,
}
"""Function of each nested field of :class:`lpbf.Process` from its plain value, for
:func:`lpbf.core.from_dict.from_dict`."""
