"""Search for the files to predict."""

from collections.abc import Collection, Sequence
from pathlib import Path

from flare_mesh.cases.case_files import CaseFiles, one_step, series_steps
from flare_mesh.cases.folder_search import find_case_files
from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.cases.source_plugins import find_source_plugin
from flare_mesh.io.mesh_formats import READABLE_SUFFIXES


def find_prediction_files(
    paths: Sequence[str | Path],
    recipe: CaseRecipe,
    *,
    leave_out: Collection[Path] = (),
    follow_links: bool = False,
) -> list[CaseFiles]:
    """Find the cases in files and folders, sorted by name within a folder.

    Args:
        paths: Files, and folders to search with their sub-folders.
        recipe: The model's recipe: with a window, time series are found; with a step, that step is
            read of files that have several; with a source plug-in, files of its suffixes are found
            too.
        leave_out: Folders to skip.
        follow_links: Whether to follow links out of a folder.

    Raises:
        FileNotFoundError: If a file does not exist, or a folder has nothing to predict.
        ValueError: If two cases have the same name, or a file cannot be used.
    """
    suffixes = READABLE_SUFFIXES
    if recipe.source:
        own = find_source_plugin(recipe.source).suffixes
        suffixes = tuple(dict.fromkeys([*own, *suffixes]))
    series, step = recipe.window is not None, recipe.step
    found: list[CaseFiles] = []
    for path in map(Path, paths):
        if path.is_dir():
            found += find_case_files(
                path,
                series=series,
                step=step,
                suffixes=suffixes,
                leave_out=leave_out,
                follow_links=follow_links,
            )
        elif path.exists():
            steps = (series_steps(path) if series else ()) or (one_step(path, step),)
            found.append(CaseFiles(path.stem, path.parent, steps))
        else:
            raise FileNotFoundError(f"{path}: no such file; give a mesh file or a folder of them")
    first: dict[str, CaseFiles] = {}
    for case in found:
        if case.error is not None:
            raise ValueError(f"{case.error}; repair or remove the file")
        other = first.setdefault(case.name, case)
        if other is not case:
            raise ValueError(
                f"{case.file}: its prediction would have the same name, '{case.name}', as that of "
                f"{other.file}; predict one of them separately"
            )
    return found
