"""Fields of VTK's legacy files."""

from urllib.parse import unquote

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.arrays import check_size
from flare_mesh.io.legacy_vtk_values import STRINGS, LegacyVTKValues

_PLACES = {"point_data": "node:", "cell_data": "cell:"}
# Channels of the attributes that are a name, a type and values.
_CHANNELS = {
    **{"vectors": 3, "normals": 3, "tensors": 9, "tensors6": 6},
    **{"global_ids": 1, "pedigree_ids": 1, "edge_flags": 1},
}


class LegacyVTKFields:
    """Fields of a legacy VTK file, with the keys of :func:`~flare_mesh.mesh.vtk_arrays.vtk_arrays`.

    Args:
        values: The file.
        max_bytes: Limit of the bytes that one field may declare.
    """

    def __init__(self, values: LegacyVTKValues, max_bytes: int) -> None:
        self.arrays: dict[str, NDArray] = {}
        self._values = values
        self._max_bytes = max_bytes

    def read_field_data(self) -> None:
        """Read the numbers of the case."""
        for name, values in self._arrays(None):
            if values.size:
                self.arrays["case:" + unquote(name)] = values.reshape(1, -1)

    def skip_metadata(self) -> None:
        """Skip the information about an array, which ends with an empty line."""
        self._values.skip_paragraph()

    def read_attributes(self, section: str, counts: dict[str, int]) -> str:
        """Read the fields on points or cells; the next section, empty at the end of the file.

        Args:
            section: ``"point_data"`` or ``"cell_data"``.
            counts: Number of points and cells.

        Raises:
            ValueError: If a field does not fit, or is of a kind that is not read.
        """
        count = self._values.count(f"a number of {section.upper()}")
        if count != counts[section]:
            raise ValueError(f"expected {counts[section]:,} {section.upper()} (got {count:,})")
        words = 0
        for word in iter(self._values.next_word, ""):
            kind = word.lower()
            if kind in _PLACES:
                return kind
            words += 1
            self._read_attribute(kind, _PLACES[section], count)
        if not words:
            raise ValueError(f"the file ends after {section.upper()} without fields; truncated")
        return ""

    def _read_attribute(self, kind: str, prefix: str, count: int) -> None:
        values = self._values
        if kind == "metadata":
            self.skip_metadata()
        elif kind == "field":
            for name, array in self._arrays(count):
                self._add(prefix, name, array)
        elif kind == "lookup_table":  # colours, which are no field
            values.word("a name of a lookup table")
            self._colours(4 * values.count("a size of a lookup table"))
        elif kind == "color_scalars":
            name = values.word("a name of color_scalars")
            channels = values.count("a number of colours")
            self._add(prefix, name, _shape(self._colours(count * channels), count, channels))
        elif kind == "scalars":
            name, type_name = self._name_and_type(kind)
            channels = 1
            word = values.word("LOOKUP_TABLE")
            if word.isdecimal():
                channels, word = int(word), values.word("LOOKUP_TABLE")
            if word.lower() != "lookup_table":
                raise ValueError(f"expected LOOKUP_TABLE of '{name}' (got '{word[:40]}')")
            values.word("a name of a lookup table")
            self._add(prefix, name, self._array(name, count, channels, type_name))
        elif kind == "texture_coordinates":
            name = values.word(f"a name of {kind}")
            channels = values.count(f"a dimension of {kind}")
            type_name = values.word(f"a type of {kind}")
            self._add(prefix, name, self._array(name, count, channels, type_name))
        elif kind in _CHANNELS:
            name, type_name = self._name_and_type(kind)
            self._add(prefix, name, self._array(name, count, _CHANNELS[kind], type_name))
        else:
            raise ValueError(f"'{kind[:40].upper()}' is not read; expected a kind of field")

    def _name_and_type(self, kind: str) -> tuple[str, str]:
        return self._values.word(f"a name of {kind}"), self._values.word(f"a type of {kind}")

    def _arrays(self, rows: int | None):
        """Read the arrays of FIELD, which have their own numbers of channels and rows."""
        values = self._values
        values.word("a name of FIELD")
        for _ in range(values.count("a number of arrays of FIELD")):
            name = values.word("a name of an array of FIELD")
            while name.lower() == "metadata":
                self.skip_metadata()
                name = values.word("a name of an array of FIELD")
            if name == "NULL_ARRAY":
                continue
            channels = values.count(f"a number of channels of '{name}'")
            count = values.count(f"a number of rows of '{name}'")
            if rows is not None and count != rows:
                raise ValueError(f"expected {rows:,} rows of '{name}' (got {count:,})")
            kind = values.word(f"a type of '{name}'")
            if kind.lower() in STRINGS:
                values.skip_strings(count * channels)
            else:
                yield name, self._array(name, count, channels, kind)

    def _array(self, name: str, count: int, channels: int, kind: str) -> NDArray:
        check_size(f"'{name}'", (count, channels), np.dtype("f8"), self._max_bytes)
        return _shape(self._values.array(count * channels, kind), count, channels)

    def _colours(self, count: int) -> NDArray:
        check_size("colours", (count,), np.dtype("f4"), self._max_bytes)
        if not self._values.is_text:
            return self._values.array(count, "unsigned_char")
        shares = self._values.array(count, "float")
        if count and not (shares.min() >= 0 and shares.max() <= 1):
            raise ValueError("expected colours from 0 to 1")
        return (255 * shares + 0.5).astype(np.uint8)

    def _add(self, prefix: str, name: str, array: NDArray) -> None:
        key = prefix + unquote(name)
        # VTK writes a field twice that is both the active scalars and the normals.
        known = self.arrays.setdefault(key, array)
        # By identity first, since NaN differs from itself.
        if known is not array and known.tobytes() != array.tobytes():
            raise ValueError(f"has two fields of the name '{name}'; rename one of them")


def _shape(values: NDArray, count: int, channels: int) -> NDArray:
    return values if channels == 1 else values.reshape(count, channels)
