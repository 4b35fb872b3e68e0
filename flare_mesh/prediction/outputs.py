"""Where predictions are written."""

from collections.abc import Sequence
from pathlib import Path

from flare_mesh.cases.sources import SERIES_SUFFIXES, MeshSource
from flare_mesh.files import check_folder
from flare_mesh.io import check_writable
from flare_mesh.io.mesh_formats import WRITABLE_SUFFIXES


def output_paths(
    out: str | Path, sources: Sequence[MeshSource], *, suffix: str, one_file: bool
) -> list[Path]:
    """The file that the prediction of each source is written to, in the order of the sources.

    Args:
        out: A mesh file for a single one, or a folder for files of the sources' names.
        sources: What is predicted.
        suffix: Of the files in a folder.
        one_file: Whether a single file was asked for.

    Raises:
        ValueError: If an output is of an unknown format or is one of the inputs.
        NotADirectoryError: If a file stands where a folder should.
    """
    out = Path(out)
    if one_file and out.suffix and not out.is_dir():
        found = [out]
    elif not out.is_dir() and out.suffix.lower() in (*WRITABLE_SUFFIXES, ".pvd"):
        raise ValueError(f"{out}: expected a folder for the predictions of a folder or of several")
    else:
        found = [out / f"{source.name}{suffix}" for source in sources]
    inputs = {Path(step.file).resolve() for source in sources for step in source.steps}
    # Of a series also the file that lists its steps.
    series = (source for source in sources if len(source.steps) > 1)
    inputs |= {(s.root / f"{s.name}{end}").resolve() for s in series for end in SERIES_SUFFIXES}
    for path in found:
        if path.suffix.lower() == ".pvd":
            check_folder(path.with_suffix("") / "step.vtu")
        else:
            check_writable(path)
        check_folder(path)
        if path.is_dir():
            raise ValueError(f"{path}: is a folder; choose another name")
        if path.resolve() in inputs or path.with_suffix("").resolve() in {
            file.parent for file in inputs if path.suffix.lower() == ".pvd"
        }:
            raise ValueError(f"{path}: would overwrite an input; choose another name or folder")
    return found
