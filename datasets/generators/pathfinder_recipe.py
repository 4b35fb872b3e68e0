"""Recipe of the Long Range Arena's Pathfinder-32 set."""

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from flare_mesh.datasets.generators.recipe import Recipe, Sample, Target, option
from flare_mesh.datasets.pathfinder_folders import CONTOUR_FOLDERS

_BLOCK, _FOLDER = 50, 1000  # images of a sample's file, and of a folder


@dataclass(frozen=True)
class PathfinderRecipe(Recipe):
    """Pathfinder of 32 x 32 pixels of the Long Range Arena (arXiv 2011.04006).

    Writes ``pathfinder32/curv_contour_length_14/imgs/<i>/sample_<j>.png``, a thousand images a
    folder, and their labels in ``.../metadata/<i>.npy``, which are text. The images follow the
    rules of the published program, see ``draw_pathfinder``; about half of them have label 1.

    Args:
        num: Images.
        contour_length: Dashes of a curve: 14 (``curv_contour_length_14``, the Long Range Arena's
            task), 9, 6 (``curv_baseline``), or 3, which is easier than any published set.
    """

    name: ClassVar = "pathfinder"

    num: int = option(200000, role="count")
    contour_length: int = option(14)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.contour_length not in CONTOUR_FOLDERS:
            raise ValueError(f"expected --contour-length 3, 6, 9 or 14 (got {self.contour_length})")

    def targets(self) -> list[Target]:
        found = []
        for number, start in enumerate(range(0, self.num, _FOLDER)):
            count = min(_FOLDER, self.num - start)
            blocks = range(start // _BLOCK, -(-(start + count) // _BLOCK))
            write = partial(
                _write_folder, number=number, count=count, contour_length=self.contour_length
            )
            path = f"pathfinder32/{CONTOUR_FOLDERS[self.contour_length]}/metadata/{number}.npy"
            found.append(Target(path, [Sample(0, block) for block in blocks], write))
        return found

    def make(self, samples: Sequence[Sample]) -> Iterator[Mapping[str, NDArray]]:
        from flare_mesh.datasets.generators.pathfinder import draw_pathfinder

        for sample in samples:
            drawn = draw_pathfinder(self.rng(sample), _BLOCK, self.contour_length)
            yield {"images": drawn.images, "labels": drawn.labels}


def _write_folder(
    path: Path, files: Sequence[Path], *, number: int, count: int, contour_length: int
) -> None:
    """Write the labels of a folder of images to ``path``, after the images."""
    folder = path.parent.parent / "imgs" / str(number)
    partial_folder = folder.with_name(f".{number}.partial")
    for old in (folder, partial_folder):
        if old.exists():
            shutil.rmtree(old)
    partial_folder.mkdir(parents=True)
    lines = []
    # Continuity, dashes of a curve and of a distractor, length, width and margin of a dash,
    # contrasts.
    settings = f"1.0 {contour_length} {contour_length // 3} 2 0.5 1 1"
    for place in files:
        with np.load(place, allow_pickle=False) as block:
            images, labels = block["images"], block["labels"]
        for image, label in zip(images, labels, strict=True):
            row = len(lines)
            if row < count:
                Image.fromarray(image).save(partial_folder / f"sample_{row}.png")
                lines.append(f"imgs/{number} sample_{row}.png {row} {label} {settings}\n")
    partial_folder.rename(folder)
    path.write_text("".join(lines), encoding="utf-8")
