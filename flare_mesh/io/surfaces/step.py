"""Reader of STEP files by Open CASCADE, which can end its process."""

from io import BytesIO
from pathlib import Path

import numpy as np

from flare_mesh.io.surfaces.surface import Surface


def read_step(path: Path) -> Surface:
    """Triangulate the solids of a STEP file to 0.01 mm, in mm.

    Raises:
        ImportError: If the extra ``cad`` is not installed.
        ValueError: If the file is cut off, or holds no solid.
    """
    import cascadio
    import trimesh

    content = path.read_bytes()
    if not content.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"ISO-10303-21"):
        raise ValueError("expected 'ISO-10303-21' at its beginning; it is not a STEP file")
    if b"END-ISO-10303-21" not in content[-4096:]:
        raise ValueError("expected 'END-ISO-10303-21' at its end; the file is cut off")
    scene = cascadio.load(content, "step", tol_linear=0.01, use_parallel=False)
    if not scene:
        raise ValueError("it has no solid that Open CASCADE can read; export it again")
    surface = trimesh.load_mesh(BytesIO(scene), file_type="glb", process=False)
    if not isinstance(surface, trimesh.Trimesh):
        raise ValueError("it has no surface; export its solids")
    points = 1000.0 * np.asarray(surface.vertices, dtype=np.float64)  # GLB is in metres
    return Surface(points, np.asarray(surface.faces, dtype=np.int64))
