"""Things that are chosen by name: what the nearest name is when there is none of that one."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """What to tell somebody who asked for ``name``: the nearest known one, or all of them."""
    known = sorted(known)
    # MeshFolder, mesh-folder and mesh_folder are one.
    plain = {_plain(one): one for one in known}
    near = difflib.get_close_matches(_plain(name), plain, 1)
    return f"did you mean '{plain[near[0]]}'?" if near else f"choose from {known}"


def _plain(name: object) -> str:
    return str(name).lower().replace("_", "").replace("-", "")
