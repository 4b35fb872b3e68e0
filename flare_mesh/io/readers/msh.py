"""Files named ``.msh``, which Gmsh and ANSYS Fluent write in formats of their own."""

from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from flare_mesh.io.readers.fluent import read_fluent
from flare_mesh.io.readers.gmsh import gmsh_times, read_gmsh
from flare_mesh.io.time_steps import choose_step


def msh_times(path: Path) -> list[float]:
    """Times of the steps of a Gmsh file; empty for a Fluent file.

    Raises:
        ValueError: If the file is damaged.
    """
    return [] if _is_fluent(path) else gmsh_times(path)


def read_msh(path: Path, step: int | None, max_bytes: int) -> dict[str, NDArray[Any]]:
    """Read a file of Gmsh or of ANSYS Fluent, as its first character says.

    Raises:
        ValueError: If the file is of neither, or damaged.
    """
    if _is_fluent(path):
        return read_fluent(path, choose_step((), step), max_bytes)
    return read_gmsh(path, step, max_bytes)


def _is_fluent(path: Path) -> bool:
    with path.open("rb") as file:
        head = file.read(1 << 12).lstrip(b"\xef\xbb\xbf \t\r\n")
    if head[:1] not in (b"$", b"("):
        # CalculiX GraphiX writes decks with this suffix.
        deck = "; if it is of CalculiX or Abaqus, end its name in .inp" if head[:1] == b"*" else ""
        raise ValueError(
            f"expected a Gmsh file, which begins with $MeshFormat, or an ANSYS Fluent file, which "
            f"begins with a parenthesis (got {head[:20].decode(errors='replace')!r}){deck}"
        )
    return head[:1] == b"("
