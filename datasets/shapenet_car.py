"""Flow around ShapeNet cars."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from flare_mesh.choices import check_choice
from flare_mesh.datasets.car_nodes import Car, merge_surface_and_volume
from flare_mesh.datasets.field_dataset import FieldDataset, find_file
from flare_mesh.files import check_readable
from flare_mesh.io.archives import extract_tar
from flare_mesh.io.array_cache import cached_npz
from flare_mesh.io.arrays import open_npy
from flare_mesh.io.reader_process import reason_of
from flare_mesh.mesh import MeshData, check_node_numbers

_log = logging.getLogger(__name__)


class ShapeNetCar(FieldDataset):
    """Air flow around 889 ShapeNet cars at 20 m/s (Umetani & Bickel, 2018).

    Files: ``mlcfd_data/training_data/param{0..8}/<id>/`` with ``quadpress_smpl.vtk`` (the car's
    surface), ``press.npy`` (pressure at its vertices) and ``hexvelo_smpl.vtk`` (velocity around
    it). Four of the 893 folders lack ``quadpress_smpl.vtk`` or ``press.npy`` and are left out, as
    in all publications. Fields: ``pressure`` [N, 1], Pa; ``velocity`` [N, 3], m/s; ``sdf`` [N, 1],
    m; ``normals`` [N, 3]. Results of the conventions are not comparable:

    - ``"flare"`` (identical to ``"upt"``, arXiv 2402.12365): pressure at the vertices of quads.
      ``torch.randperm(889)`` with seed 0 selects 189 test cases from the cases in the order of
      folder and id. Published normalisation: ``pos`` from (-2, -1, -4.5)..(2, 4.5, 6) to 0..1,
      pressure with mean -36.3099 and standard deviation 48.5743.
    - ``"transolver"`` (arXiv 2402.02366): the points of the volume that are off the surface, then
      all surface vertices, which ``surf`` [N] marks. Off the surface ``sdf`` is the distance from
      the nearest surface vertex, ``normals`` the direction away from it, and the pressure zero. On
      the surface ``sdf`` is zero and ``normals`` are means of the adjacent cells' normals; the
      velocity is zero at surface vertices that are not in the volume's file (about 73 %).
      ``param0`` is the test split. Published normalisation: mean and standard deviation of all
      inputs, coordinates included, and targets.

    A set of another size is split in the same proportions with a logged warning, since its results
    are not comparable.

    ==========  ============  ======  ================  ==================================
    convention  train / test  nodes   cells             fields
    ==========  ============  ======  ================  ==================================
    flare, upt  700 / 189     3,586   quads             pressure
    transolver  789 / 100     32,186  quads, hexahedra  sdf, normals -> velocity, pressure
    ==========  ============  ======  ================  ==================================

    Each case is read from its VTK files once and cached in ``root/processed``.

    Args:
        root: Folder of the data set, or any folder on the path to ``param0``.
        split: ``"train"`` or ``"test"``.
        convention: ``"flare"``, ``"upt"`` or ``"transolver"``.
        inputs: Fields of ``x``; by default none, or ``("sdf", "normals")`` for ``"transolver"``.
        targets: Fields of ``y``; by default ``("pressure",)``, or ``("velocity", "pressure")``.
        transform: Applied to each case on access, as in PyG.
        skip_bad: Leaves out cases that cannot be used.

    Raises:
        FileNotFoundError: If there is no ``param0``, or no case.
        ValueError: If an option is unknown; on access, if a case is damaged.
    """

    UNITS = {"pressure": "Pa", "velocity": "m/s", "sdf": "m", "normals": "1"}
    ADDRESS = "http://www.nobuyuki-umetani.com/publication/mlcfd_data.zip"
    STATS: ClassVar[dict[str, dict[str, int]]] = {
        "flare": {"train": 700, "test": 189, "nodes": 3586},
        "transolver": {"train": 789, "test": 100, "nodes": 32186},
    }
    _FIELDS = {
        "flare": {"pressure": 1},
        "transolver": {"sdf": 1, "normals": 3, "velocity": 3, "pressure": 1},
    }
    _DEFAULTS = {
        "flare": ((), ("pressure",)),
        "transolver": (("sdf", "normals"), ("velocity", "pressure")),
    }
    _CASES, _TEST = 889, 189

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        convention: str = "flare",
        inputs: Sequence[str] | None = None,
        targets: Sequence[str] | None = None,
        transform: Callable[[Any], Any] | None = None,
        skip_bad: bool = False,
    ) -> None:
        check_choice("ShapeNetCar: unknown split", split, ("train", "test"))
        conventions = ("flare", "upt", "transolver")
        check_choice("ShapeNetCar: unknown convention", convention, conventions)
        self.convention = "transolver" if convention == "transolver" else "flare"
        self.split = split
        self.folder = find_file(root, "mlcfd_data/training_data/param0", self.ADDRESS).parent
        self.FIELDS = self._FIELDS[self.convention]
        default_inputs, default_targets = self._DEFAULTS[self.convention]
        inputs = default_inputs if inputs is None else inputs
        targets = default_targets if targets is None else targets
        cases = self._split(self._list_cases())
        super().__init__(root, cases, inputs, targets, transform=transform, skip_bad=skip_bad)

    def _list_cases(self) -> list[str]:
        check_readable(self.folder)
        cases, without = [], []
        for number in range(9):
            group = self.folder / f"param{number}"
            folders = sorted(p for p in group.glob("*") if p.is_dir() and "." not in p.name)
            for folder in folders:
                complete = all((folder / f).is_file() for f in ("quadpress_smpl.vtk", "press.npy"))
                (cases if complete else without).append(f"{group.name}/{folder.name}")
        if without:
            _log.info("%s: no pressure in %s; left out", self.folder, ", ".join(without))
        if not cases:
            raise FileNotFoundError(
                f"{self.folder}: no case with quadpress_smpl.vtk and press.npy in param0 ... "
                f"param8; unpack param0.tar.gz ... there"
            )
        return cases

    def _split(self, cases: list[str]) -> list[str]:
        count = len(cases)
        if count != self._CASES:
            text = "%s: %d cases instead of %d; the split is not the published one"
            _log.warning(text, self.folder, count, self._CASES)
        if self.convention == "transolver":
            test = {case for case in cases if case.startswith("param0/")}
        else:
            share = max(1, round(count * self._TEST / self._CASES))
            order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
            test = {cases[int(i)] for i in order[:share]}
        chosen = [case for case in cases if (case in test) == (self.split == "test")]
        if not chosen:
            raise ValueError(
                f"{self.folder}: none of {count} cases is for split '{self.split}' of convention "
                f"'{self.convention}'; add more cases"
            )
        return chosen

    def read(self, index: int) -> MeshData:
        case = self.cases[index]
        folder = self.folder / case
        parts = ["quadpress_smpl.vtk", "press.npy"]
        make, names = self._surface, ["pos", "quad", *self.FIELDS]
        if self.convention == "transolver":
            parts.append("hexvelo_smpl.vtk")
            make, names = self._surface_and_volume, [*names, "hexahedron", "surf"]
        files = [find_file(folder, part, self.ADDRESS) for part in parts]
        target = Path(self.processed_dir, "shapenet_car", self.convention, f"{case}.npz")
        arrays = cached_npz(target, files, lambda: make(*files), names)
        data = MeshData(pos=_tensor(arrays["pos"]))
        for kind in ("quad", "hexahedron"):
            if kind in arrays:
                check_node_numbers(kind, arrays[kind], len(data.pos))
                data[kind] = _tensor(arrays[kind]).long()
        for name, channels in self.FIELDS.items():
            data[name] = _tensor(arrays[name]).view(-1, channels)
        if "surf" in arrays:
            data.surf = _tensor(arrays["surf"]).bool()
        return data

    def _surface(self, surface: Path, pressure: Path) -> dict[str, NDArray[Any]]:
        car = self._read_surface(surface, pressure)
        used, quads = np.unique(car.quads, return_inverse=True)
        return {
            "pos": car.points[used].astype(np.float32),
            "quad": quads.reshape(-1, 4).astype(np.int32),
            "pressure": car.pressure[used],
        }

    def _surface_and_volume(
        self, surface: Path, pressure: Path, volume: Path
    ) -> dict[str, NDArray[Any]]:
        car = self._read_surface(surface, pressure)
        points, hexahedra, fields = _read_vtk(volume, "hexahedron")
        vectors = [values for values in fields.values() if values.shape == points.shape]
        if len(vectors) != 1:
            raise ValueError(f"{volume}: expected one vector field on its points (got {[*fields]})")
        return merge_surface_and_volume(car, points, hexahedra, vectors[0])

    @staticmethod
    def _read_surface(surface: Path, pressure: Path) -> Car:
        points, quads, fields = _read_vtk(surface, "quad")
        values = open_npy(pressure)
        if values.size != len(points) or values.dtype.kind != "f":
            raise ValueError(
                f"{pressure}: expected {len(points)} pressures, one per point of {surface.name} "
                f"(got {list(values.shape)} of {values.dtype})"
            )
        scalars = [field for field in fields.values() if field.size == len(points)]
        if len(scalars) != 1:
            raise ValueError(
                f"{surface}: expected one scalar on its points, the pressure (got {[*fields]}); "
                f"without one the file is truncated"
            )
        scale = float(np.abs(values).max(initial=0.0))
        if np.abs(scalars[0].ravel() - values.ravel()).max(initial=0.0) > 1e-3 * scale:
            raise ValueError(
                f"{pressure}: not the pressure in {surface.name}; the files belong to different "
                f"cases"
            )
        return Car(points, quads, np.array(values, dtype=np.float32).reshape(-1))

    @classmethod
    def download(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, root: str | Path, *, max_bytes: int = 40 * 2**30
    ) -> None:
        """Download (2 GB) and unpack the set below ``root``, unless it is complete.

        Args:
            root: Folder for ``mlcfd_data``.
            max_bytes: Limit of the unpacked size of each archive.
        """
        from flare_mesh.io.archives import extract_zip
        from flare_mesh.io.download import download_file

        folder, archive = Path(root, "mlcfd_data"), Path(root, "mlcfd_data.zip")
        parts = [*folder.rglob("param?.tar.gz")]
        # Archives are removed last: without them the set is complete.
        if (folder / "training_data/param0").is_dir() and not parts and not archive.exists():
            return
        download_file(cls.ADDRESS, archive)
        extract_zip(archive, Path(root), max_bytes=max_bytes)
        parts = sorted(folder.rglob("param?.tar.gz"))
        for part in parts:
            extract_tar(part, folder / "training_data", max_bytes=max_bytes)
        for path in (*parts, archive):
            path.unlink()


def _read_vtk(path: Path, kind: str) -> tuple[NDArray[Any], NDArray[Any], dict[str, NDArray[Any]]]:
    """Points, cells and point data of a legacy VTK file with cells of one type."""
    from flare_mesh.io.readers.by_meshio import read_meshio

    try:
        mesh: Any = read_meshio(path, "vtk")
    except Exception as error:
        raise ValueError(f"{path}: not a whole VTK file ({reason_of(error)})") from error
    points, cells = mesh.points, mesh.cells_dict
    if points.ndim != 2 or points.shape[1] != 3 or [*cells] != [kind]:
        raise ValueError(
            f"{path}: expected points in space and cells of type {kind} (got points "
            f"{list(points.shape)} and {[*cells]})"
        )
    try:
        check_node_numbers(kind, cells[kind], len(points))
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return points, cells[kind], dict(mesh.point_data)


def _tensor(array: NDArray[Any]) -> torch.Tensor:
    return torch.from_numpy(np.array(array))
