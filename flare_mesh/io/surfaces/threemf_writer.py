"""Writer of 3MF files (core specification 1.3)."""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import check_choice
from flare_mesh.files import atomic_path
from flare_mesh.io.surfaces.threemf_model import UNITS

_TYPES = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
    '<Default Extension="rels" '
    'ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
    '<Default Extension="model" '
    'ContentType="application/vnd.ms-package.3dmanufacturing-3dmodel+xml"/></Types>'
)
_RELATIONSHIPS = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">'
    '<Relationship Target="/3D/3dmodel.model" Id="rel0" '
    'Type="http://schemas.microsoft.com/3dmanufacturing/2013/01/3dmodel"/></Relationships>'
)
_CORE = "http://schemas.microsoft.com/3dmanufacturing/core/2015/02"


class WrittenBody(NamedTuple):
    """An object to write.

    Attributes:
        name: Its name; empty for none.
        item: Number of its item of the build; objects of the same item are its components.
        points: Coordinates, [V, 3], in the unit of the file.
        triangles: Points of each triangle, [F, 3].
    """

    name: str
    item: int
    points: NDArray[np.float64]
    triangles: NDArray[np.int64]


def write_3mf(path: str | Path, bodies: Sequence[WrittenBody], unit: str = "millimeter") -> None:
    """Write objects as a 3MF file, whole or not at all; the same input gives the same bytes.

    Args:
        path: The file.
        bodies: The objects, with the objects of an item one after the other.
        unit: Unit of the coordinates, by its name in 3MF.

    Raises:
        OSError: If the file cannot be written.
        ValueError: If the unit is unknown.
    """
    check_choice("write_3mf: unknown unit", unit, UNITS)
    items: dict[int, list[int]] = {}
    objects = []
    for number, body in enumerate(bodies, start=1):
        items.setdefault(body.item, []).append(number)
        objects.append(_mesh_object(number, body))
    build = []
    for numbers in items.values():
        if len(numbers) > 1:
            number = len(objects) + 1
            components = "".join(f'<component objectid="{n}"/>' for n in numbers)
            objects.append(
                f'<object id="{number}" type="model"><components>{components}</components>'
                f"</object>\n"
            )
            numbers = [number]
        build.append(f'<item objectid="{numbers[0]}"/>')
    model = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<model unit="{unit}" xml:lang="en" '
        f'xmlns="{_CORE}">\n<resources>\n{"".join(objects)}</resources>\n'
        f"<build>{''.join(build)}</build>\n</model>\n"
    )
    parts = {
        "[Content_Types].xml": _TYPES,
        "_rels/.rels": _RELATIONSHIPS,
        "3D/3dmodel.model": model,
    }
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for name, text in parts.items():
            info = zipfile.ZipInfo(name)  # of 1980, in place of the time of writing
            archive.writestr(info, text, zipfile.ZIP_DEFLATED)


def _mesh_object(number: int, body: WrittenBody) -> str:
    name = f" name={quoteattr(body.name)}" if body.name else ""
    points = "".join(
        f'<vertex x="{x:.9g}" y="{y:.9g}" z="{z:.9g}"/>\n' for x, y, z in body.points.tolist()
    )
    triangles = "".join(
        f'<triangle v1="{a}" v2="{b}" v3="{c}"/>\n' for a, b, c in body.triangles.tolist()
    )
    return (
        f'<object id="{number}" type="model"{name}><mesh>\n<vertices>\n{points}</vertices>\n'
        f"<triangles>\n{triangles}</triangles>\n</mesh></object>\n"
    )
