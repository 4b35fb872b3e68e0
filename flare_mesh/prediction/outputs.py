"""Paths of the predictions to write."""

from collections.abc import Sequence
from pathlib import Path

from flare_mesh.cases.case_files import SERIES_SUFFIXES, CaseFiles
from flare_mesh.files import check_folder
from flare_mesh.io import check_writable
from flare_mesh.io.mesh_formats import WRITABLE_SUFFIXES


def output_paths(
    out: str | Path, cases: Sequence[CaseFiles], *, suffix: str, one_file: bool
) -> list[Path]:
    """The path of each prediction, in the order of the cases.

    Args:
        out: A mesh file for a single prediction, or a folder for files with the cases' names.
        cases: Files of the predicted cases.
        suffix: Suffix of the files in a folder.
        one_file: Whether there is a single prediction, so that ``out`` may be a file.

    Raises:
        ValueError: If the format of an output is unknown, or it would overwrite an input.
        NotADirectoryError: If a file has the path of a folder.
    """
    out = Path(out)
    if one_file and out.suffix and not out.is_dir():
        found = [out]
    elif not out.is_dir() and out.suffix.lower() in (*WRITABLE_SUFFIXES, ".pvd"):
        raise ValueError(f"{out}: expected a folder for several predictions (got a file name)")
    else:
        found = [out / f"{case.name}{suffix}" for case in cases]
    inputs = {Path(step.file).resolve() for case in cases for step in case.steps}
    # The file that lists the steps of a series is an input too.
    series = (case for case in cases if len(case.steps) > 1)
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
