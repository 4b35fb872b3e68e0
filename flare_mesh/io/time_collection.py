"""Time series for ParaView: a ``.pvd`` collection of one mesh file for each time."""

import xml.etree.ElementTree as ElementTree
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from flare_mesh.files import atomic_path


def write_time_collection(
    path: str | Path, times: Sequence[float], write: Callable[[Path, int], None]
) -> None:
    """Write a ``.pvd`` collection, and its steps as ``<name>/<name>_0000.vtu`` and so on.

    The collection is written last, so it never refers to a missing file. If a step cannot be
    written, the steps of this call are removed.

    Args:
        path: Path of the ``.pvd`` file.
        times: Time of each step.
        write: Function that writes the mesh file of a step, by path and number.
    """
    path = Path(path)
    is_new = not path.with_suffix("").exists()
    folder, width = path.with_suffix(""), max(4, len(str(len(times) - 1)))
    collection = ElementTree.Element("Collection")
    files = []
    try:
        for number, time in enumerate(times):
            file = folder / f"{path.stem}_{number:0{width}d}.vtu"
            write(file, number)
            files.append(file)
            entry = {"timestep": repr(float(time)), "group": "", "part": "0"}
            name = f"{folder.name}/{file.name}"
            ElementTree.SubElement(collection, "DataSet", {**entry, "file": name})
        root = ElementTree.Element("VTKFile", {"type": "Collection", "version": "0.1"})
        root.append(collection)
        tree = ElementTree.ElementTree(root)
        ElementTree.indent(tree)
        with atomic_path(path) as temporary:
            tree.write(temporary, encoding="utf-8", xml_declaration=True)
    except BaseException:
        for file in files:
            file.unlink(missing_ok=True)
        with suppress(OSError):  # not made yet, or not empty
            if is_new:
                folder.rmdir()
        raise
