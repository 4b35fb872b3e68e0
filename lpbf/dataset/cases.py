"""The list of parts that a data set is made of."""

import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from lpbf.core.part import CAD_SUFFIXES, PART_SUFFIXES, check_cad
from lpbf.dataset.settings import Settings


@dataclass(frozen=True)
class Case:
    """One part to simulate, in one orientation.

    Attributes:
        name: File name without suffix.
        split: ``"train"`` or ``"test"``, the same for all cases of a part.
        part: Number of a procedural part (with the seed its random state), or path of a file.
        source: The file below the folder of parts, or ``"procedural"``.
        variant: Number of the part's case; 0 has it as it is given.
    """

    name: str
    split: str
    part: int | Path
    source: str = "procedural"
    variant: int = 0

    @property
    def file(self) -> str:
        return f"{self.split}/{self.name}.npz"

    @property
    def key(self) -> int:
        """A number of the part, the same for all its cases, in every folder."""
        return self.part if isinstance(self.part, int) else zlib.crc32(self.source.encode())


def list_cases(num_parts: int, settings: Settings, parts: Path | None = None) -> list[Case]:
    """The cases of a data set: files of the folder ``parts`` by name, then procedural parts.

    The split of a file depends on its name alone, that of a procedural part on its number, so that
    a data set can be extended without moving a case from one split to the other.

    Raises:
        FileNotFoundError: If ``parts`` is not a folder.
        MissingReaderError: If there are STEP files and the extra ``cad`` is not installed.
        ValueError: If there is nothing to do.
    """
    files = []
    if parts is not None:
        if not parts.is_dir():
            raise FileNotFoundError(f"{parts}: no such folder; give a folder of part files")
        files = sorted(p for p in parts.rglob("*") if p.suffix.lower() in PART_SUFFIXES)
        if not files:
            raise ValueError(f"{parts}: no part files in it ({', '.join(PART_SUFFIXES)})")
        for path in (p for p in files if p.suffix.lower() in CAD_SUFFIXES):
            check_cad(path)
    if num_parts < 0 or num_parts + len(files) == 0:
        raise ValueError(f"expected --num-parts > 0, or --parts (got {num_parts})")

    share = settings.test_fraction
    whole = []
    for path in files:
        source = path.relative_to(parts or path)
        name = f"{'_'.join(source.with_suffix('').parts)}_{path.suffix[1:].lower()}"
        drawn = zlib.crc32(f"{settings.seed} {name}".encode()) / 2**32
        split = "test" if drawn < share else "train"
        whole.append(Case(name, split, path.resolve(), source.as_posix()))
    for i in range(num_parts):
        last_of_its_share = int((i + 1) * share) > int(i * share)
        whole.append(Case(f"part_{i:06d}", "test" if last_of_its_share else "train", i))
    cases = [
        Case(f"{c.name}_turned_{v:02d}" if v else c.name, c.split, c.part, c.source, v)
        for c in whole
        for v in range(settings.orientations)
    ]
    doubled = sorted(name for name, count in Counter(c.name for c in cases).items() if count > 1)
    if doubled:
        raise ValueError(f"{parts}: several files give the case names {doubled}; rename them")
    return cases
