"""Flow around road cars."""

import logging
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from flare_mesh.datasets.drivaerml_runs import ABUPT, listed_runs, runs_of
from flare_mesh.datasets.field_dataset import FieldDataset
from flare_mesh.datasets.surface_cells import surface_cells
from flare_mesh.io.archives import extract_tar
from flare_mesh.io.array_cache import cached_npy
from flare_mesh.io.arrays import read_npz
from flare_mesh.io.vtk_xml import VTKXMLFile
from flare_mesh.mesh import MeshData

_log = logging.getLogger(__name__)

_ROW = np.dtype(
    [
        ("pos", "<f4", 3),
        ("normals", "<f4", 3),
        ("area", "<f4", (1,)),
        ("pressure", "<f4", (1,)),
        ("wall_shear_stress", "<f4", 3),
        ("source_cell", "<i4"),
    ]
)


class DrivAerML(FieldDataset):
    """Time-averaged flow on the surface of 484 DrivAer notchback cars (arXiv 2408.11969).

    Hybrid RANS-LES at 38.889 m/s, CC-BY-SA 4.0. The nodes are the centres of the surface's cells.
    ``root`` may be either of

    - the FLARE authors' sample, ``{train,test}/run_i.npz`` with ``surface_mesh_centers`` [n, 3] and
      ``surface_fields`` [n, 4], for 10k, 40k ... 1m points, drawn once (``download``);
    - the original files ``run_i/boundary_i.vtp`` with some 8.8 million cells each; there are
      ``normals`` and ``area``, too. A file is decoded once, which takes a minute and 2 GB of
      memory, and kept in ``root/processed`` with its cells in a random order (0.4 GB): any run of
      rows is then a random sample, and costs one short read. ``source_cell`` [N] is each node's
      cell in the original file.

    Published normalisation of FLARE: ``pos`` from (-0.9425, -1.1314, -0.3176) .. (4.1325, 1.1317,
    1.2445) to 0..1, pressure with mean -229.845718 and standard deviation 269.598572.

    .. list-table::
        :header-rows: 1

        * - convention
          - train / val / test
          - which
        * - flare (arXiv 2508.12594)
          - 387 / - / 97
          - the sample's folders; for original files ``root/train_test_splits.json``, lists of
            numbers under ``train`` and ``test``
        * - abupt (arXiv 2502.09692)
          - 400 / 34 / 50
          - listed here; FLARE++ leaves out run 45, so 399

    Of a split, the runs that are there are used; a smaller number than the published one is logged.

    Args:
        root: Folder of the data set.
        split: ``"train"``, ``"test"``, or ``"val"`` of ``"abupt"``.
        convention: ``"flare"`` or ``"abupt"``.
        num_points: Nodes of each case, drawn at random; all by default.
        seed: Draws the same nodes of a case at each access. By default they are drawn anew.
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
        if convention not in self.STATS:
            raise ValueError(
                f"DrivAerML: unknown convention '{convention}'; choose from {[*self.STATS]}"
            )
        splits = [name for name in self.STATS[convention] if name != "nodes"]
        if split not in splits:
            raise ValueError(
                f"DrivAerML: unknown split '{split}' of convention '{convention}'; choose from "
                f"{splits}"
            )
        if num_points is not None and num_points < 1:
            raise ValueError(f"DrivAerML: expected num_points of at least 1 (got {num_points})")
        self.convention, self.split = convention, split
        self.num_points, self.seed = num_points, seed
        folder = Path(root)
        sampled = runs_of(folder.glob("*/run_*.npz"))
        self.sampled = bool(sampled)
        self._files = sampled or runs_of(folder.glob("run_*/boundary_*.vtp"))
        if not self._files:
            raise FileNotFoundError(
                f"{root}: neither {{train,test}}/run_*.npz (from {self.SAMPLE_ADDRESS}) nor "
                f"run_*/boundary_*.vtp (from {self.ADDRESS}) there"
            )
        self.FIELDS = self._SAMPLED if self.sampled else self._ORIGINAL
        self._numbers = self._of_split(folder)
        super().__init__(
            root,
            [f"run_{number}" for number in self._numbers],
            inputs=inputs,
            targets=targets,
            transform=transform,
            skip_bad=skip_bad,
        )

    def _of_split(self, root: Path) -> list[int]:
        if self.convention == "abupt":
            wanted = ABUPT[self.split]
        elif self.sampled:
            wanted = {i for i, path in self._files.items() if path.parent.name == self.split}
        else:
            wanted = listed_runs(root, self.split, self.SAMPLE_ADDRESS)
        numbers = sorted(wanted & self._files.keys())
        published = self.STATS[self.convention][self.split]
        if not numbers:
            raise FileNotFoundError(
                f"{root}: none of its {len(self._files)} runs is in split '{self.split}' of "
                f"convention '{self.convention}'"
            )
        if len(numbers) != published:
            _log.warning(
                "%s: %d runs of split '%s' instead of %d; the split is not the published one",
                root,
                len(numbers),
                self.split,
                published,
            )
        return numbers

    def read(self, index: int) -> MeshData:
        path = self._files[self._numbers[index]]
        if self.sampled:
            return self._read_sample(path, index)
        target = Path(self.processed_dir, "drivaerml", f"{self.cases[index]}.npy")
        rows = cached_npy(target, [path], lambda: _decode(path))
        if rows.dtype != _ROW or rows.ndim != 1:
            raise ValueError(f"{target.parent}: damaged; remove it, its files are made anew")
        part = np.concatenate([rows[block] for block in self._choose(len(rows), index, path)])
        data = MeshData(pos=_tensor(part["pos"]))
        for name in self.FIELDS:
            data[name] = _tensor(part[name])
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
            pos=_tensor(pos),
            pressure=_tensor(values[:, :1]),
            wall_shear_stress=_tensor(values[:, 1:]),
        )

    def _choose(self, count: int, index: int, path: Path) -> list[slice]:
        """Consecutive rows from a random one on, around the end: the rows are in random order."""
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
        """Downloads the sample, or original files, and returns the folder to read them from.

        A sample that is there is not downloaded again.

        Args:
            root: Folder for the data set.
            points: Points of the sample: ``"10k"``, ``"40k"``, ``"100k"``, ``"200k"``, ``"300k"``,
                ``"400k"``, ``"500k"`` or ``"1m"``.
            runs: Numbers of the runs whose original files (0.7 GB each) are downloaded instead.
            max_bytes: Bytes that the sample may unpack to.
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
        # The archive is removed last: without it, the sample is whole.
        if archive.exists() or not folder.is_dir():
            if not archive.exists():
                download_hub("vedantpuri/PDESurrogates", root, patterns=[archive.name])
            extract_tar(archive, root, max_bytes=max_bytes)
            archive.unlink()
        return folder


def _decode(path: Path) -> NDArray[Any]:
    """All cells of an original file, in a random order."""
    file = VTKXMLFile(path)
    if file.kind != "PolyData":
        raise ValueError(f"{path}: expected a PolyData (got a {file.kind})")
    nodes, ends = file.cells("Polys")
    if not len(ends) or len(ends) != file.num_cells:
        raise ValueError(f"{path}: expected polygons only ({len(ends)} of {file.num_cells} are)")
    try:
        geometry = surface_cells(file.points(), nodes, ends)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    del nodes, ends
    order = np.random.default_rng(0).permutation(len(geometry))
    rows = np.empty(len(geometry), dtype=_ROW)
    for name, part in (("pos", slice(0, 3)), ("normals", slice(3, 6)), ("area", slice(6, 7))):
        rows[name] = geometry[order, part]
    rows["pressure"][:, 0] = file.read("CellData", "pMeanTrim")[order]
    rows["wall_shear_stress"] = file.read("CellData", "wallShearStressMeanTrim", 3)[order]
    rows["source_cell"] = order
    return rows


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.array(array, dtype=np.float32))
