"""Values of an XDMF file, in its text or in HDF5."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import h5py
import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.arrays import hdf5_dataset, open_hdf5

_TYPES = {
    **{("float", size): f"f{size}" for size in "48"},
    **{("int", size): f"i{size}" for size in "1248"},
    **{("uint", size): f"u{size}" for size in "1248"},
    **{("char", "1"): "i1", ("uchar", "1"): "u1"},
}


class XDMFValues:
    """The ``DataItem`` elements of an XDMF file.

    A context manager, which closes the HDF5 files at its end.

    Args:
        path: The XDMF file; HDF5 files are named relative to its folder.
        find: Element of an XPath, for items that refer to another one.
    """

    def __init__(self, path: Path, find: Callable[[str], Element]) -> None:
        self._folder = path.parent
        self._find = find
        self._files: dict[str, h5py.File] = {}

    def __enter__(self) -> "XDMFValues":
        return self

    def __exit__(self, *_: Any) -> None:
        # Another process may write to the files.
        for file in self._files.values():
            file.close()

    def read(self, element: Element) -> NDArray[Any]:
        """The values of the only ``DataItem`` in an element, in the shape of its ``Dimensions``.

        Raises:
            ValueError: If the values are missing, damaged, or of a kind that is not read.
        """
        what = f"{element.tag} '{element.get('Name', '')}'"
        items = element.findall("DataItem")
        if len(items) != 1:
            raise ValueError(
                f"expected one DataItem in {what} (got {len(items)}); finite element functions of "
                f"write_checkpoint are not read, write them by write"
            )
        item = items[0]
        if "Reference" in item.attrib:
            kind = item.attrib["Reference"].strip()
            item = self._find((item.text or "").strip() if kind.upper() == "XML" else kind)
            if item.tag != "DataItem" or "Reference" in item.attrib:
                raise ValueError(f"{what} refers to {kind!r}, which is no DataItem with values")
        form = item.get("ItemType", "Uniform")
        if form.lower() != "uniform":
            raise ValueError(
                f"values of ItemType '{form}' in {what} are not read; write them whole"
            )
        shape = tuple(map(int, item.get("Dimensions", "").split()))
        values = self._hdf5(item) if item.get("Format", "XML").upper() == "HDF" else _text(item)
        if values.size != math.prod(shape) or not shape:
            raise ValueError(
                f"expected the values of {what} in the shape {list(shape)} of its Dimensions "
                f"(got {list(values.shape)}); the file is damaged"
            )
        return values.reshape(shape)

    def _hdf5(self, item: Element) -> NDArray[Any]:
        name, _, place = (item.text or "").strip().partition(":")
        if name not in self._files:
            self._files[name] = open_hdf5(self._folder / name)
        return hdf5_dataset(self._files[name], place)[()]


def _text(item: Element) -> NDArray[Any]:
    kind = item.get("NumberType") or item.get("DataType") or "Float"
    size = item.get("Precision", "1" if "char" in kind.lower() else "4")
    dtype = _TYPES.get((kind.lower(), size))
    if dtype is None:
        raise ValueError(f"values of type {kind} with precision {size} are not read")
    wide = np.float64 if dtype[0] == "f" else np.int64
    try:
        found = np.fromstring(item.text or "", dtype=wide, sep=" ")
    except ValueError as error:
        raise ValueError(f"expected numbers of type {kind} ({error})") from error
    values = found.astype(dtype)
    if wide is np.int64 and (values != found).any():
        raise ValueError(f"expected integers of {size} bytes (got {found[values != found][0]})")
    return values
