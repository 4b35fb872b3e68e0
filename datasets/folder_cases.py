"""Search of a folder of meshes for the usable cases of a split."""

import logging
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from flare_mesh.cases.case_files import CaseFiles
from flare_mesh.cases.folder_search import find_case_files
from flare_mesh.data.splits import FRACTIONS, split_names
from flare_mesh.io import MeshFileWarning

_MAX_WARNINGS = 10
_log = logging.getLogger(__name__)


def find_split(
    root: Path,
    split: str | None,
    *,
    fractions: Mapping[str, float] | None = None,
    seed: int = 0,
    **options: Any,
) -> list[CaseFiles]:
    """Find the cases of a split.

    They are in the sub-folder ``split`` if it exists; otherwise all cases below ``root`` are
    divided by :func:`~flare_mesh.data.splits.split_names`.

    Args:
        root: Folder of the mesh files.
        split: Name of the split; None for all cases.
        fractions: Share of each split.
        seed: Seed of the division.
        options: Options of :func:`~flare_mesh.cases.folder_search.find_case_files`.

    Raises:
        FileNotFoundError: If there are no cases.
        ValueError: If ``fractions`` do not apply, or give the split no case.
    """
    if split is None and fractions is not None:
        raise ValueError(f"{root}: split=None selects all cases; leave out 'fractions'")
    if split is not None and (root / split).is_dir():
        if fractions is not None:
            raise ValueError(f"{root}: has a folder '{split}'; leave out 'fractions'")
        # Links between the folders of the splits and one of all cases are followed.
        cases = find_case_files(root / split, within=root, **options)
        return [case._replace(name=f"{split}/{case.name}", root=root) for case in cases]
    others = [name for name in fractions or FRACTIONS if (root / name).is_dir()]
    if split is not None and others:
        raise FileNotFoundError(f"{root}: has a folder '{others[0]}' but no folder '{split}'")
    cases = find_case_files(root, **options)
    if split is None:
        return cases
    names = [*dict.fromkeys(case.name for case in cases)]
    chosen = set(split_names(names, split, fractions, seed=seed))
    cases = [case for case in cases if case.name in chosen]
    if not cases:
        share = (fractions or FRACTIONS)[split]
        raise ValueError(
            f"{root}: a share of {share:g} of its {len(names)} case{'s' * (len(names) > 1)} leaves "
            f"none for the split '{split}'; add cases, or change 'fractions'"
        )
    return cases


def check_cases(cases: Iterable[CaseFiles], check: Callable[[CaseFiles], None]) -> list[CaseFiles]:
    """The cases, where each that ``check`` refuses with a ValueError has its ``error``."""
    checked = []
    for case in cases:
        if case.error is None:
            try:
                check(case)
            except ValueError as error:
                case = case._replace(error=str(error))
        checked.append(case)
    return checked


def usable_cases(root: Path, cases: list[CaseFiles], *, skip_bad: bool) -> list[CaseFiles]:
    """The cases without an error.

    Args:
        root: Folder of the mesh files.
        cases: All cases.
        skip_bad: Log the cases with an error instead of raising.

    Raises:
        ValueError: If a case has an error and ``skip_bad`` is not set, or all have.
    """
    for case in cases:
        if case.error is not None:
            if not skip_bad:
                raise ValueError(f"{case.error}; repair or remove the file, or pass skip_bad=True")
            _log.warning("case '%s' is left out: %s", case.name, case.error)
    usable = [case for case in cases if case.error is None]
    if not usable:
        raise ValueError(f"{root}: none of its {len(cases)} cases can be used")
    return usable


def warn_of_files(found: Iterable[tuple[str, str]]) -> None:
    """Give the warnings of the readers of some files, each reason once.

    Args:
        found: Files with their warnings, which may begin with the path of the file.
    """
    by_reason: dict[str, dict[str, None]] = {}
    for file, text in found:
        by_reason.setdefault(text.removeprefix(f"{file}: "), {})[file] = None
    for number, (reason, files) in enumerate(by_reason.items()):
        if number == _MAX_WARNINGS:
            reason = f"and {len(by_reason) - number} other warnings of the readers; see read_mesh"
        more = f" and {len(files) - 1} more files" if len(files) > 1 else ""
        warnings.warn(f"{next(iter(files))}{more}: {reason}", MeshFileWarning, stacklevel=4)
        if number == _MAX_WARNINGS:
            break


def most_common(values: Iterable[int]) -> int:
    """The value that occurs most often; 0 if there are none."""
    counts = Counter(values).most_common(1)
    return counts[0][0] if counts else 0
