"""Flow around road cars."""

import logging
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from flare_mesh.choices import check_choice
from flare_mesh.datasets.array_dataset import float32_tensor
from flare_mesh.datasets.drivaerml_surface import ROW, read_surface
from flare_mesh.datasets.field_dataset import FieldDataset
from flare_mesh.files import check_readable, read_json_object
from flare_mesh.io.archives import extract_tar
from flare_mesh.io.array_cache import cached_npy
from flare_mesh.io.arrays import read_npz
from flare_mesh.mesh import MeshData

_log = logging.getLogger(__name__)

# Runs that are not published, and the validation and test runs of the convention "abupt".
# fmt: off
_HIDDEN = {167, 211, 218, 221, 248, 282, 291, 295, 316, 325, 329, 364, 370, 376, 403, 473}
_VAL = {
    4, 22, 56, 109, 150, 165, 177, 191, 228, 234, 241, 247, 252, 253, 260, 271, 275, 298, 303, 311,
    321, 324, 328, 341, 352, 366, 380, 390, 401, 423, 441, 447, 454, 487,
}
_TEST = {
    11, 12, 19, 20, 24, 26, 29, 41, 55, 59, 108, 124, 127, 133, 142, 158, 173, 180, 187, 188, 197,
    199, 203, 205, 207, 208, 210, 215, 222, 226, 258, 263, 280, 284, 290, 322, 337, 350, 354, 363,
    372, 382, 387, 405, 410, 424, 428, 429, 436, 472,
}
# fmt: on
_ABUPT = {"train": {*range(1, 501)} - _HIDDEN - _VAL - _TEST, "val": _VAL, "test": _TEST}


class DrivAerML(FieldDataset):
    """Time-averaged flow on the surface of 484 DrivAer notchback cars (arXiv 2408.11969).

    Hybrid RANS-LES at 38.889 m/s. Licence: CC-BY-SA 4.0. The nodes are the centres of the surface
    cells. ``root`` holds one of

    - the FLARE authors' sample, ``{train,test}/run_i.npz`` with ``surface_mesh_centers`` [n, 3] and
      ``surface_fields`` [n, 4] of 10k, 40k ... 1m points drawn once (``download``);
    - the original files ``run_i/boundary_i.vtp`` with about 8.8 million cells each. A file is
      decoded once, which takes a minute and 2 GB of memory, and cached in ``root/processed`` with
      its cells in a random order (0.4 GB), so that consecutive rows are a random sample and cost
      one short read. ``source_cell`` [N] is the cell of each node in the original file.

    Fields: ``pressure`` [N, 1] and ``wall_shear_stress`` [N, 3], both divided by the density,
    m^2/s^2; from the original files also ``normals`` [N, 3] and ``area`` [N, 1], m^2. Published
    normalisation of FLARE: ``pos`` from (-0.9425, -1.1314, -0.3176) .. (4.1325, 1.1317, 1.2445) to
    0..1, pressure with mean -229.845718 and standard deviation 269.598572.

    ========================  ==================  ===============================================
    convention                train / val / test  runs
    ========================  ==================  ===============================================
    flare (arXiv 2508.12594)  387 / - / 97        the folders of the sample; for original files
                                                  the lists ``train`` and ``test`` of run numbers
                                                  in ``root/train_test_splits.json``
    abupt (arXiv 2502.09692)  400 / 34 / 50       listed here; FLARE++ leaves out run 45
                                                  (399 training runs)
    ========================  ==================  ===============================================

    Missing runs of a split are left out with a logged warning.

    Args:
        root: Folder of the data set.
        split: ``"train"``, ``"test"``, or ``"val"`` of ``"abupt"``.
        convention: ``"flare"`` or ``"abupt"``.
        num_points: Nodes to draw at random from each case; all by default.
        seed: Draws the same nodes of a case at each access; by default others each time.
        inputs: Fields of ``x``.
        targets: Fields of ``y``.
        transform: Applied to each case on access, as in PyG.
        skip_bad: Leaves out cases that cannot be used.

    Raises:
        FileNotFoundError: If there is no case of the split.
        ValueError: If an option is unknown; on access, if a case is damaged or has fewer than
            ``num_points`` nodes.
    """

    UNITS = {"pressure": "m^2/s^2", "wall_shear_stress": "m^2/s^2", "normals": "1", "area": "m^2"}
    ADDRESS = "https://huggingface.co/datasets/neashton/drivaerml"
    SAMPLE_ADDRESS = "https://huggingface.co/datasets/vedantpuri/PDESurrogates"
    STATS: ClassVar[dict[str, dict[str, int]]] = {
        "flare": {"train": 387, "test": 97, "nodes": 8_800_000},
        "abupt": {"train": 400, "val": 34, "test": 50, "nodes": 8_800_000},
    }
    _SAMPLED = {"pressure": 1, "wall_shear_stress": 3}
    _ORIGINAL = {**_SAMPLED, "normals": 3, "area": 1}

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        convention: str = "flare",
        num_points: int | None = None,
        seed: int | None = None,
        inputs: Sequence[str] = (),
        targets: Sequence[str] = ("pressure",),
        transform: Callable[[Any], Any] | None = None,
        skip_bad: bool = False,
    ) -> None:
        check_choice("DrivAerML: unknown convention", convention, self.STATS)
        splits = self.STATS[convention].keys() - {"nodes"}
        check_choice(f"DrivAerML: convention '{convention}' has no split", split, splits)
        if num_points is not None and num_points < 1:
            raise ValueError(f"DrivAerML: expected num_points of at least 1 (got {num_points})")
        self.convention, self.split = convention, split
        self.num_points, self.seed = num_points, seed
        folder = Path(root)
        check_readable(folder)
        sampled = _find_runs(folder.glob("*/run_*.npz"))
        self.sampled = bool(sampled)
        self._files = sampled or _find_runs(folder.glob("run_*/boundary_*.vtp"))
        if not self._files:
            raise FileNotFoundError(
                f"{root}: neither {{train,test}}/run_*.npz (from {self.SAMPLE_ADDRESS}) nor "
                f"run_*/boundary_*.vtp (from {self.ADDRESS}) there"
            )
        self.FIELDS = self._SAMPLED if self.sampled else self._ORIGINAL
        self._numbers = self._list_runs(folder)
        cases = [f"run_{number}" for number in self._numbers]
        super().__init__(root, cases, inputs, targets, transform=transform, skip_bad=skip_bad)

    def _list_runs(self, root: Path) -> list[int]:
        if self.convention == "abupt":
            wanted = _ABUPT[self.split]
        elif self.sampled:
            wanted = {i for i, path in self._files.items() if path.parent.name == self.split}
        else:
            wanted = _listed_runs(root, self.split, self.SAMPLE_ADDRESS)
        numbers = sorted(wanted & self._files.keys())
        published = self.STATS[self.convention][self.split]
        if not numbers:
            raise FileNotFoundError(
                f"{root}: none of its {len(self._files)} runs is in split '{self.split}' of "
                f"convention '{self.convention}'"
            )
        if len(numbers) != published:
            text = "%s: %d runs of split '%s' instead of %d; the split is not the published one"
            _log.warning(text, root, len(numbers), self.split, published)
        return numbers

    def read(self, index: int) -> MeshData:
        path = self._files[self._numbers[index]]
        if self.sampled:
            return self._read_sample(path, index)
        target = Path(self.processed_dir, "drivaerml", f"{self.cases[index]}.npy")
        rows = cached_npy(target, [path], lambda: read_surface(path))
        if rows.dtype != ROW or rows.ndim != 1:
            raise ValueError(f"{target.parent}: damaged; remove it to have it made again")
        part = np.concatenate([rows[block] for block in self._choose(len(rows), index, path)])
        data = MeshData(pos=float32_tensor(part["pos"]))
        for name in self.FIELDS:
            data[name] = float32_tensor(part[name])
        data.source_cell = torch.from_numpy(part["source_cell"].astype(np.int64))
        return data

    def _read_sample(self, path: Path, index: int) -> MeshData:
        arrays = read_npz(path, ["surface_mesh_centers", "surface_fields"])
        centers, fields = arrays["surface_mesh_centers"], arrays["surface_fields"]
        count = len(centers)
        if not count or centers.shape != (count, 3) or fields.shape != (count, 4):
            raise ValueError(
                f"{path}: expected 'surface_mesh_centers' [n, 3] and 'surface_fields' [n, 4] (got "
                f"{list(centers.shape)} and {list(fields.shape)})"
            )
        chosen = self._choose(count, index, path)
        pos, values = (np.concatenate([a[b] for b in chosen]) for a in (centers, fields))
        return MeshData(
            pos=float32_tensor(pos),
            pressure=float32_tensor(values[:, :1]),
            wall_shear_stress=float32_tensor(values[:, 1:]),
        )

    def _choose(self, count: int, index: int, path: Path) -> list[slice]:
        """Consecutive rows from a random start, around the end: the rows are in random order."""
        size = count if self.num_points is None else self.num_points
        if size > count:
            raise ValueError(f"{path}: {count:,} nodes are fewer than num_points = {size:,}")
        if size == count:
            return [slice(None)]
        generator = None
        if self.seed is not None:
            generator = torch.Generator().manual_seed(self.seed + self._numbers[index])
        first = int(torch.randint(count, (), generator=generator))
        return [slice(first, first + size), slice(0, max(0, first + size - count))]

    @classmethod
    def download(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls,
        root: str | Path,
        *,
        points: str = "40k",
        runs: Iterable[int] | None = None,
        max_bytes: int = 64 * 2**30,
    ) -> Path:
        """Download the sample, unless it is complete, or original files.

        Args:
            root: Folder for the data set.
            points: Points of the sample: ``"10k"``, ``"40k"``, ``"100k"``, ``"200k"``, ``"300k"``,
                ``"400k"``, ``"500k"`` or ``"1m"``.
            runs: Numbers of the runs whose original files (0.7 GB each) to download instead.
            max_bytes: Limit of the sample's unpacked size.

        Returns:
            The folder to read the data set from.
        """
        from flare_mesh.io.download import download_hub

        root = Path(root)
        if runs is not None:
            wanted = [f"run_{i}/boundary_{i}.vtp" for i in runs]
            download_hub("neashton/drivaerml", root, patterns=wanted)
            return root
        if points not in ("10k", "40k", "100k", "200k", "300k", "400k", "500k", "1m"):
            raise ValueError(f"DrivAerML: no sample of '{points}' points; try '40k'")
        name = f"drivaerml_surface_presampled_{points}"
        folder, archive = root / name, root / f"{name}.tar.gz"
        # The archive is removed last: without it the sample is complete.
        if archive.exists() or not folder.is_dir():
            if not archive.exists():
                download_hub("vedantpuri/PDESurrogates", root, patterns=[archive.name])
            extract_tar(archive, root, max_bytes=max_bytes)
            archive.unlink()
        return folder


def _find_runs(paths: Iterable[Path]) -> dict[int, Path]:
    """Files by the number of their run."""
    matches = ((re.fullmatch(r"(?:run|boundary)_(\d{1,6})", p.stem), p) for p in sorted(paths))
    return {int(match[1]): path for match, path in matches if match}


def _listed_runs(root: Path, split: str, address: str) -> set[int]:
    """Runs of a split of the convention "flare", from ``train_test_splits.json`` in ``root``."""
    path = root / "train_test_splits.json"
    if not path.is_file():
        raise FileNotFoundError(
            f"{root}: no train_test_splits.json, which lists the runs of convention 'flare'; list "
            f"the names in the folders train and test of the sample from {address} there, or use "
            f"convention='abupt'"
        )
    lists = read_json_object(path)
    try:
        return {int(run) for run in lists[split]}
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(
            f"{path}: expected lists of the runs' numbers under 'train' and 'test' ({error})"
        ) from error
