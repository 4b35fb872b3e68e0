"""The list of parts that a data set is made of."""

import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lpbf.dataset.settings import Settings
from lpbf.part import PART_SUFFIXES


@dataclass(frozen=True)
class Case:
    """One part to simulate.

    Attributes:
        name: File name without suffix.
        split: ``"train"`` or ``"test"``.
        part: Number of a procedural part (with the seed its random state), or path of a file.
    """

    name: str
    split: str
    part: int | Path

    @property
    def file(self) -> str:
        return f"{self.split}/{self.name}.npz"


def list_cases(num_parts: int, settings: Settings, parts: Path | None = None) -> list[Case]:
    """The cases of a data set: files of the folder ``parts`` by name, then procedural parts.

    The split of a file depends on its name alone, that of a procedural part on its number, so that
    a data set can be extended without moving a case from one split to the other.

    Raises:
        FileNotFoundError: If ``parts`` is not a folder.
        ValueError: If there is nothing to do.
    """
    files = []
    if parts is not None:
        if not parts.is_dir():
            raise FileNotFoundError(f"{parts}: no such folder; give a folder of part files")
        files = sorted(p for p in parts.rglob("*") if p.suffix.lower() in PART_SUFFIXES)
        if not files:
            raise ValueError(f"{parts}: no part files in it ({', '.join(PART_SUFFIXES)})")
    if num_parts < 0 or num_parts + len(files) == 0:
        raise ValueError(f"expected --num-parts > 0, or --parts (got {num_parts})")

    share = settings.test_fraction
    cases = []
    for path in files:
        stem = "_".join(path.relative_to(parts or path).with_suffix("").parts)
        name = f"{stem}_{path.suffix[1:].lower()}"
        drawn = zlib.crc32(f"{settings.seed} {name}".encode()) / 2**32
        cases.append(Case(name, "test" if drawn < share else "train", path))
    for i in range(num_parts):
        last_of_its_share = int((i + 1) * share) > int(i * share)
        cases.append(Case(f"part_{i:06d}", "test" if last_of_its_share else "train", i))
    doubled = sorted(name for name, count in Counter(c.name for c in cases).items() if count > 1)
    if doubled:
        raise ValueError(f"{parts}: several files give the case names {doubled}; rename them")
    return cases
