"""Record of a data set: the options that it was started with, and its finished files."""

import json
from pathlib import Path
from typing import Any

from flare_mesh.datasets.generators.recipe import Recipe
from flare_mesh.documents import load_json
from flare_mesh.files import check_folder, write_text


def open_record(
    record: Path, recipe: Recipe, resume: bool, *, begun: bool
) -> tuple[dict[str, int], dict[str, int]]:
    """Check the folder of a record, and write the record of a new data set.

    Args:
        record: The record's file.
        recipe: Recipe of the data set.
        resume: Whether a data set that was started may be continued.
        begun: Whether there are samples.

    Returns:
        Sizes of the files that an earlier run finished, and their numbers of samples.

    Raises:
        ValueError: If the folder is in use without ``resume``, was started with other options, or
            holds a finished set of more samples; or if the record is damaged.
    """
    check_folder(record)
    out = record.parent
    settings, counts, files = _read(record)
    if not files and not begun:  # new, or failed before its first sample
        for target in recipe.targets():
            if (out / target.path).exists():
                raise ValueError(f"{out / target.path}: exists already; choose another --out")
        write_record(record, recipe, {})
        return {}, {}
    if not resume:
        raise ValueError(
            f"{out}: already holds a {recipe.name} set; add --resume, or choose another --out"
        )
    wanted = json.loads(json.dumps(recipe.content()))
    differing = [key for key in wanted if settings.get(key) != wanted[key]]
    if differing:
        raise ValueError(
            f"{out}: was started with other options ("
            + ", ".join(f"{k} = {settings.get(k)}, now {wanted[k]}" for k in differing)
            + "); use the same ones or choose another --out"
        )
    fewer = [key for key, num in recipe.counts().items() if files and num < counts.get(key, 0)]
    if fewer:
        raise ValueError(
            f"{out}: already holds more samples ("
            + ", ".join(f"{k} = {counts[k]}, now {recipe.counts()[k]}" for k in fewer)
            + "), which --resume would delete; ask for at least as many or choose another --out"
        )
    return files, counts


def _read(record: Path) -> tuple[dict[str, Any], dict[str, int], dict[str, int]]:
    """The options that a set was started with, its finished samples and sizes of files."""
    if not record.is_file():
        return {}, {}, {}
    try:
        found = load_json(record.read_text())
        settings, files = dict(found["settings"]), dict(found["files"])
        counts = {str(name): int(num) for name, num in found["counts"].items()}
        if any(Path(name).is_absolute() or ".." in Path(name).parts for name in files):
            raise ValueError("it names files outside of the folder")
        return settings, counts, files
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(
            f"{record}: damaged ({error}); restore it or choose another --out"
        ) from error


def write_record(record: Path, recipe: Recipe, files: dict[str, int]) -> None:
    """Write the options of a data set; with ``files``, also its samples and sizes of files."""
    content = {
        "recipe": recipe.name,
        "settings": recipe.content(),
        "counts": recipe.counts() if files else {},
        "files": files,
    }
    write_text(record, json.dumps(content, indent=1))
