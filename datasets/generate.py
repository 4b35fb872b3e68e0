"""Generates a data set from its recipe: ``python -m flare_mesh.datasets.generate``."""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import docstring_parser
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from flare_mesh.datasets.generators.recipe import Recipe, Sample
from flare_mesh.datasets.generators.recipes import RECIPES
from flare_mesh.datasets.generators.record import open_record, write_record
from flare_mesh.datasets.generators.samples import write_sample
from flare_mesh.files import atomic_path, error_text, is_whole
from flare_mesh.workers import run_tasks

_SAMPLES = "[0-9]_*.npz"


def generate(
    recipe: Recipe,
    out: str | Path,
    *,
    workers: int = 1,
    resume: bool = False,
    keep_samples: bool = False,
) -> list[Path]:
    """Generate a data set below ``out``.

    Each sample is first written to its own file in ``<name>_samples``, so that a run can be
    resumed; ``<name>_settings.json`` holds the options and the sizes of finished files. The content
    depends on the recipe alone, not on the workers or on interruptions, and a sample does not
    depend on the number of samples. Data sets of several recipes can share a folder.

    Args:
        recipe: Recipe of the data set.
        out: Folder of the data set.
        workers: Processes, of one thread each.
        resume: Continue a data set that was started with the same options. The number of samples
            may grow; old files remain until the new ones are complete.
        keep_samples: Keep the files of the samples, to extend the data set later without
            computing them again.

    Returns:
        The files of the data set.

    Raises:
        ValueError: If ``out`` already holds the data set without ``resume``, was started with
            other options, or has more samples.
        RuntimeError: If a solver fails.
    """
    out = Path(out)
    if workers < 1:
        raise ValueError(f"expected --workers >= 1 (got {workers})")
    name = recipe.name.replace("-", "_")
    record, folder = out / f"{name}_settings.json", out / f"{name}_samples"
    targets = recipe.targets()
    done, counts = open_record(record, recipe, resume, begun=any(folder.glob(_SAMPLES)))
    paths = [out / target.path for target in targets]
    if counts != recipe.counts() or not _complete(out, done, paths):
        _remove_partials(folder / "*.npz", *paths)
        _make_samples(recipe, folder, workers)
        for target, path in zip(targets, paths, strict=True):
            with atomic_path(path) as temporary:
                target.write(temporary, [folder / sample.file for sample in target.samples])
        for old in done.keys() - {target.path for target in targets}:
            (out / old).unlink(missing_ok=True)
        write_record(record, recipe, {t.path: (out / t.path).stat().st_size for t in targets})
    if not keep_samples and folder.is_dir():
        for sample in folder.glob(_SAMPLES):
            sample.unlink()
        with suppress(OSError):  # something else is in there
            folder.rmdir()
    return paths


def _complete(out: Path, done: dict[str, int], paths: Sequence[Path]) -> bool:
    """Whether all files exist with their recorded sizes."""
    return {out / name for name in done} == set(paths) and all(
        (out / name).is_file() and (out / name).stat().st_size == size
        for name, size in done.items()
    )


def _remove_partials(*paths: Path) -> None:
    """Remove unfinished files of a killed run."""
    for path in paths:
        for partial in path.parent.glob(f".{path.stem}.*.partial{path.suffix}"):
            partial.unlink()


def _make_samples(recipe: Recipe, folder: Path, workers: int) -> None:
    """Compute the missing or damaged samples, with a progress bar."""
    batches = recipe.batches()
    todo = [batch for batch in batches if not all(is_whole(folder / s.file) for s in batch)]
    columns = (*Progress.get_default_columns(), MofNCompleteColumn())
    total = sum(len(batch) for batch in batches)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task(recipe.name, total=total, completed=total - sum(map(len, todo)))
        tasks = [(recipe, batch, folder) for batch in todo]
        for count in run_tasks(_make_batch, tasks, workers) if tasks else ():
            progress.update(bar, advance=count)


def _make_batch(recipe: Recipe, batch: Sequence[Sample], folder: Path) -> int:
    for sample, arrays in zip(batch, recipe.make(batch), strict=True):
        write_sample(folder / sample.file, arrays)
    return len(batch)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flare_mesh.datasets.generate", description=__doc__
    )
    commands = parser.add_subparsers(dest="recipe", required=True)
    for name, recipe in RECIPES.items():
        bases = [base for base in recipe.__mro__ if issubclass(base, Recipe)]
        docs = [docstring_parser.parse(base.__doc__ or "") for base in bases]
        helps = {arg.arg_name: arg.description or "" for doc in docs for arg in doc.params}
        command = commands.add_parser(
            name,
            description=(docs[0].description or "").replace("`", ""),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            help=docs[0].short_description,
            allow_abbrev=False,
        )
        add = command.add_argument
        add("--out", required=True, help="folder of the data set")
        for field in fields(recipe):
            kind: Any = next(iter(get_args(field.type)), field.type)  # of a type or None
            text = " ".join(helps[field.name].replace("`", "").replace("%", "%%").split())
            text = text.removesuffix(".")
            if field.default is not None:
                text += f" (default: {field.default})"
            add("--" + field.name.replace("_", "-"), type=kind, default=field.default, help=text)
        add("--workers", type=int, help="processes (default: one per core, one on a GPU)")
        add("--resume", action="store_true", help="continue a data set that was started before")
        add("--keep-samples", action="store_true", help="keep a file per sample, to extend the set")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code: 0, 1 (failed), 2 (bad input), 130 (Ctrl-C)."""
    options = vars(_parser().parse_args(argv))
    recipe_type = RECIPES[options.pop("recipe")]
    run = {key: options.pop(key) for key in ("out", "workers", "resume", "keep_samples")}
    if run["workers"] is None:
        run["workers"] = 1 if options.get("device", "cpu") != "cpu" else os.cpu_count() or 1
    try:
        paths = generate(recipe_type(**options), **run)
    except (ValueError, OSError) as error:
        print(f"error: {error_text(error)}", file=sys.stderr)
        return 2
    except RuntimeError as error:  # a solver failed, or a worker died
        print(f"error: {error}; continue with --resume", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; continue with --resume", file=sys.stderr)
        return 130
    # A folder of meshes by its name.
    print(*paths if len(paths) <= 4 else {path.parent: None for path in paths}, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
