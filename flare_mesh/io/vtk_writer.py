"""Files of VTK that are written by Python, so that a full disk raises an error."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from flare_mesh.files import atomic_path

if TYPE_CHECKING:
    import pyvista

_CHARACTERS = 1 << 24  # of the text that is encoded at a time
_FAST = 1  # level of zlib; higher ones take twice the time for files that are 10 % smaller


def write_vtk(path: str | Path, data: "pyvista.UnstructuredGrid | pyvista.PolyData") -> None:
    """Write a grid or a surface as ``.vtu``, ``.vtp`` or binary legacy ``.vtk``.

    If the disk is full, VTK's own output ends the process, or returns as if it had succeeded. So
    VTK writes to memory only.

    Raises:
        OSError: If the file cannot be written.
    """
    content = _content(path, data)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            for start in range(0, len(content), _CHARACTERS):
                file.write(content[start : start + _CHARACTERS].encode())


def _content(path: str | Path, data: Any) -> str | bytes:
    """Content of the file; VTK's wrapper makes bytes of what is no text in UTF-8."""
    from vtkmodules.vtkIOLegacy import vtkUnstructuredGridWriter
    from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter, vtkXMLUnstructuredGridWriter

    suffix = Path(path).suffix.lower()
    writer: Any = {
        ".vtu": vtkXMLUnstructuredGridWriter,
        ".vtp": vtkXMLPolyDataWriter,
        ".vtk": vtkUnstructuredGridWriter,
    }[suffix]()
    writer.SetInputData(data)
    writer.WriteToOutputStringOn()
    if suffix == ".vtk":
        writer.SetFileTypeToBinary()
    else:
        writer.SetDataModeToBinary()
        writer.SetCompressionLevel(_FAST)
    written = writer.Write()
    content = writer.GetOutputStdString() if suffix == ".vtk" else writer.GetOutputString()
    if not written or not content:
        raise OSError(f"{path}: cannot be written (VTK gave no content)")
    return content
