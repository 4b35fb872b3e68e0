"""Cases of a data set."""

import warnings
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from flare_mesh.io.folder_walk import walk_folder
from lpbf.core.part import CAD_SUFFIXES, PART_SUFFIXES, check_cad
from lpbf.dataset.settings import Settings


@dataclass(frozen=True)
class Case:
    """One part to simulate, in one orientation.

    Attributes:
        name: File name without suffix.
        split: ``"train"`` or ``"test"``, the same for all cases of a part.
        part: Number of a procedural part (with the seed, its random state), or path of a file.
        source: The file relative to the folder of parts, or ``"procedural"``.
        variant: Number of the orientation; 0 is the part as given.
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
        """Number of the part, the same for all its cases, wherever the folder of parts is."""
        return self.part if isinstance(self.part, int) else zlib.crc32(self.source.encode())


def list_cases(num_parts: int, settings: Settings, parts: Path | None = None) -> list[Case]:
    """List the cases of a data set: files of the folder ``parts`` by name, then procedural parts.

    The split depends only on the name of a file or the number of a procedural part, so that a case
    stays in its split when the data set is extended.

    Raises:
        FileNotFoundError: If ``parts`` is not a folder.
        OSError: If ``parts`` cannot be read.
        MissingReaderError: If there are STEP files and the extra ``cad`` is not installed.
        ValueError: If there are no parts, or two files give the same name.
    """
    files = []
    if parts is not None:
        if not parts.is_dir():
            raise FileNotFoundError(f"{parts}: no such folder; give a folder of part files")
        # Links are followed, as each is a part that the user put there.
        found = walk_folder(parts, follow=True)
        files = sorted(p for p in map(Path, found.files) if p.suffix.lower() in PART_SUFFIXES)
        closed = f"left out folders that cannot be read: {', '.join(found.unreadable[:10])}"
        if not files:
            end = f"; {closed}" if found.unreadable else ""
            raise ValueError(
                f"{parts}: expected part files in it ({', '.join(PART_SUFFIXES)}){end}"
            )
        if found.unreadable:
            warnings.warn(f"{parts}: {closed}", stacklevel=2)
        for path in (p for p in files if p.suffix.lower() in CAD_SUFFIXES):
            check_cad(path)
    if num_parts < 0 or num_parts + len(files) == 0:
        raise ValueError(f"expected --num-parts > 0, or --parts (got {num_parts})")

    fraction = settings.test_fraction
    originals = []
    for path in files:
        source = path.relative_to(parts or path)
        name = f"{'_'.join(source.with_suffix('').parts)}_{path.suffix[1:].lower()}"
        split = split_of(f"{settings.seed} {name}", fraction)
        originals.append(Case(name, split, path.absolute(), source.as_posix()))
    for i in range(num_parts):
        is_test = int((i + 1) * fraction) > int(i * fraction)
        originals.append(Case(f"part_{i:06d}", "test" if is_test else "train", i))
    cases = [
        Case(f"{c.name}_rotated_{v:02d}" if v else c.name, c.split, c.part, c.source, v)
        for c in originals
        for v in range(settings.orientations)
    ]
    repeated = sorted(name for name, count in Counter(c.name for c in cases).items() if count > 1)
    if repeated:
        raise ValueError(f"{parts}: several files give the case names {repeated}; rename them")
    return cases


def split_of(name: str, test_fraction: float) -> str:
    """Split of a case, ``"train"`` or ``"test"``, which depends on its name alone."""
    return "test" if zlib.crc32(name.encode()) / 2**32 < test_fraction else "train"
