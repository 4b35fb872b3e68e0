"""Makes a published data set anew from its recipe: ``python -m flare_mesh.datasets.generate``."""

import argparse
import inspect
import os
import sys
from collections.abc import Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from flare_mesh.datasets.generators.recipe import Recipe, Sample
from flare_mesh.datasets.generators.recipes import RECIPES
from flare_mesh.datasets.generators.record import open_record, write_record
from flare_mesh.datasets.generators.samples import write_sample
from flare_mesh.files import atomic_path, is_whole
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
    """Makes a data set in its published layout below ``out``; returns its files.

    Each sample becomes a file of its own in ``<name>_samples`` first, so that a run can be resumed;
    ``<name>_settings.json`` holds the options, and the files' sizes once they are done. The content
    depends on the recipe alone, not on the workers or on interruptions, and a sample does not
    depend on how many there are. Data sets of several recipes can share a folder.

    Args:
        recipe: What to make.
        out: Folder of the data set.
        workers: Processes, of one thread each.
        resume: Go on with a data set that was begun with the same options. It may get more
            samples than it has; its old files stay until the new ones are whole.
        keep_samples: Leave the samples' files there, so that the data set can be extended later
            without making them again.

    Raises:
        ValueError: If ``out`` already holds the data set and is not to be resumed, was begun with
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
    """Whether all files are there, with the sizes that they were finished with."""
    return {out / name for name in done} == set(paths) and all(
        (out / name).is_file() and (out / name).stat().st_size == size
        for name, size in done.items()
    )


def _remove_partials(*paths: Path) -> None:
    """What a killed run left of files that it was writing."""
    for path in paths:
        for partial in path.parent.glob(f".{path.stem}.*.partial{path.suffix}"):
            partial.unlink()


def _make_samples(recipe: Recipe, folder: Path, workers: int) -> None:
    """Makes the samples that are missing or damaged, under a progress bar."""
    batches = recipe.batches()
    todo = [batch for batch in batches if not all(is_whole(folder / s.file) for s in batch)]
    columns = (
        TextColumn(recipe.name),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(elapsed_when_finished=False),
    )
    total = sum(len(batch) for batch in batches)
    with Progress(*columns, console=Console(stderr=True)) as progress:
        bar = progress.add_task("", total=total, completed=total - sum(map(len, todo)))
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
        text = inspect.cleandoc(recipe.__doc__ or "").split("\n\nArgs:")[0]
        command = commands.add_parser(
            name,
            description=text.replace("`", ""),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            help=text.splitlines()[0],
            allow_abbrev=False,
        )
        add = command.add_argument
        add("--out", required=True, help="folder of the data set")
        for field in fields(recipe):
            kind: Any = next(iter(get_args(field.type)), field.type)  # of a type or None
            text = field.metadata["help"]
            if field.default is not None:
                text += f" (default: {field.default})"
            add("--" + field.name.replace("_", "-"), type=kind, default=field.default, help=text)
        add("--workers", type=int, help="processes (default: one a core, one on a GPU)")
        add("--resume", action="store_true", help="go on with a data set that was begun before")
        add("--keep-samples", action="store_true", help="leave a file a sample there, to extend")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """The command; returns the exit code: 0, 1 (failed), 2 (bad input), 130 (Ctrl-C)."""
    options = vars(_parser().parse_args(argv))
    recipe_type = RECIPES[options.pop("recipe")]
    run = {key: options.pop(key) for key in ("out", "workers", "resume", "keep_samples")}
    if run["workers"] is None:
        run["workers"] = 1 if options.get("device", "cpu") != "cpu" else os.cpu_count() or 1
    try:
        paths = generate(recipe_type(**options), **run)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except RuntimeError as error:  # a process that died is one, too
        reason = "a worker died (out of memory?)" if isinstance(error, BrokenProcessPool) else error
        print(f"error: {reason}; go on with --resume", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; go on with --resume", file=sys.stderr)
        return 130
    print(*paths, sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
