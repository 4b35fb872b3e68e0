"""Turbulent flow around aerofoils."""

import math
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from flare_mesh.choices import check_choice
from flare_mesh.datasets.field_dataset import FieldDataset, find_file
from flare_mesh.datasets.match_points import match_points
from flare_mesh.files import read_json_object
from flare_mesh.io.array_cache import cached_npz
from flare_mesh.io.vtk_xml import VTKXMLFile
from flare_mesh.mesh import MeshData, check_node_numbers

_VTK_QUAD = 9
_STORED = ("distance", "normals", "velocity", "pressure", "turbulent_viscosity")


class AirfRANS(FieldDataset):
    """Steady incompressible RANS flow around 1,000 NACA aerofoils (arXiv 2212.07564).

    Files: ``<case>/<case>_internal.vtu`` and ``<case>/<case>_aerofoil.vtp`` beside
    ``manifest.json``, which lists the cases of each task. Licence: ODbL 1.0. The fields are the
    same as in the ``airfrans`` package and in :class:`torch_geometric.datasets.AirfRANS`. PyG's set
    loads one file of all point clouds without cells (about 9 GB) into memory; this class reads the
    authors' files, one case at a time, with the mesh.

    - ``inlet_velocity`` [N, 2], ``inlet_speed`` [N, 1] (m/s) and ``angle_of_attack`` [N, 1]
      (degrees), from the name of the case;
    - ``distance`` [N, 1] from the aerofoil, m, positive in the fluid (``-implicit_distance``);
    - ``normals`` [N, 2] of the aerofoil at its nodes, zero elsewhere, with the sign of the file and
      of the ``airfrans`` package; the code of the paper's experiments has the opposite sign;
    - ``velocity`` [N, 2], m/s; ``pressure`` [N, 1] divided by the density, m^2/s^2;
      ``turbulent_viscosity`` [N, 1], kinematic, m^2/s.

    ``surf`` [N] marks the nodes on the aerofoil, whose horizontal velocity is exactly 0. Published
    normalisation: mean and standard deviation of all inputs, coordinates included, and targets.

    ========  ============  ==================================================
    task      train / test  test cases
    ========  ============  ==================================================
    full      800 / 200     interpolation
    scarce    200 / 200     as in ``full``
    reynolds  504 / 496     Reynolds numbers below 3 and above 5 million
    aoa       804 / 196     angles of attack below -2.5 and above 12.5 degrees
    ========  ============  ==================================================

    About 180,000 nodes and quads per case, in two dimensions. Each case is decoded once and cached
    in ``root/processed`` (9 MB).

    Args:
        root: Folder with ``manifest.json`` and the cases, or its parent.
        split: ``"train"`` or ``"test"``.
        task: ``"full"``, ``"scarce"``, ``"reynolds"`` or ``"aoa"``.
        inputs: Fields of ``x``.
        targets: Fields of ``y``.
        transform: Applied to each case on access, as in PyG.
        skip_bad: Leaves out cases that cannot be used.

    Raises:
        FileNotFoundError: If there is no manifest; on access, if a file is missing.
        ValueError: If an option is unknown or the manifest is damaged; on access, if a case is.
    """

    _FIELDS: ClassVar[dict[str, tuple[int, str]]] = {
        "inlet_velocity": (2, "m/s"),
        "inlet_speed": (1, "m/s"),
        "angle_of_attack": (1, "degree"),
        "distance": (1, "m"),
        "normals": (2, "1"),
        "velocity": (2, "m/s"),
        "pressure": (1, "m^2/s^2"),
        "turbulent_viscosity": (1, "m^2/s"),
    }
    FIELDS = {name: channels for name, (channels, _) in _FIELDS.items()}
    UNITS = {name: unit for name, (_, unit) in _FIELDS.items()}
    ADDRESS = "https://data.isir.upmc.fr/extrality/NeurIPS_2022/Dataset.zip"
    STATS: ClassVar[dict[str, dict[str, int]]] = {
        "full": {"train": 800, "test": 200, "nodes": 180_000},
        "scarce": {"train": 200, "test": 200, "nodes": 180_000},
        "reynolds": {"train": 504, "test": 496, "nodes": 180_000},
        "aoa": {"train": 804, "test": 196, "nodes": 180_000},
    }

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        task: str = "full",
        inputs: Sequence[str] = ("inlet_velocity", "distance", "normals"),
        targets: Sequence[str] = ("velocity", "pressure", "turbulent_viscosity"),
        transform: Callable[[Any], Any] | None = None,
        skip_bad: bool = False,
    ) -> None:
        check_choice("AirfRANS: unknown split", split, ("train", "test"))
        check_choice("AirfRANS: unknown task", task, self.STATS)
        self.task, self.split = task, split
        manifest = find_file(root, "Dataset/manifest.json", self.ADDRESS)
        self.folder = manifest.parent
        same_test = split == "test" and task == "scarce"
        cases = _cases(manifest, "full_test" if same_test else f"{task}_{split}")
        super().__init__(root, cases, inputs, targets, transform=transform, skip_bad=skip_bad)

    def read(self, index: int) -> MeshData:
        case = self.cases[index]
        speed, angle = self._inlet(case)
        folder = self.folder / case
        parts = (f"{case}_internal.vtu", f"{case}_aerofoil.vtp")
        files = [find_file(folder, part, self.ADDRESS) for part in parts]
        target = Path(self.processed_dir, "airfrans", f"{case}.npz")
        names = ["pos", "quad", "surf", *_STORED]
        arrays = cached_npz(target, files, lambda: _read_case(*files), names)
        check_node_numbers("quad", arrays["quad"], len(arrays["pos"]))
        data = MeshData(
            pos=torch.from_numpy(np.array(arrays["pos"])),
            quad=torch.from_numpy(arrays["quad"].astype(np.int64)),
        )
        radians = math.radians(angle)
        inlet = [[speed * math.cos(radians), speed * math.sin(radians)]]
        data.inlet_velocity = torch.tensor(inlet, dtype=torch.float32)
        data.inlet_speed = torch.tensor([[speed]], dtype=torch.float32)
        data.angle_of_attack = torch.tensor([[angle]], dtype=torch.float32)
        for name in (*_STORED, "surf"):
            data[name] = torch.from_numpy(np.array(arrays[name]))
        return data

    def _inlet(self, case: str) -> tuple[float, float]:
        try:
            speed, angle = (float(part) for part in case.split("_")[2:4])
        except ValueError as error:
            raise ValueError(
                f"{self.folder}, case '{case}': expected the speed and the angle of attack as the "
                f"third and fourth part of its name, separated by underscores"
            ) from error
        return speed, angle

    @classmethod
    def download(  # pyright: ignore[reportIncompatibleMethodOverride]
        cls, root: str | Path, *, max_bytes: int = 100 * 2**30
    ) -> None:
        """Download (9.3 GB) and unpack the set below ``root``, unless it is complete.

        Args:
            root: Folder for ``Dataset``.
            max_bytes: Limit of the unpacked size.
        """
        from flare_mesh.io.archives import extract_zip
        from flare_mesh.io.download import download_file

        archive = Path(root, "Dataset.zip")
        if not archive.exists() and _is_complete(Path(root, "Dataset")):
            return
        download_file(cls.ADDRESS, archive)
        extract_zip(archive, Path(root), max_bytes=max_bytes)
        archive.unlink()


def _is_complete(folder: Path) -> bool:
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        return False
    cases = {case for key in ("full_train", "full_test") for case in _cases(manifest, key)}
    ends = ("_internal.vtu", "_aerofoil.vtp")
    return all((folder / case / f"{case}{end}").is_file() for case in cases for end in ends)


def _cases(manifest: Path, key: str) -> list[str]:
    """The cases of a split, with names that are safe as paths."""
    content = read_json_object(manifest)
    if key not in content:
        raise ValueError(f"{manifest}: expected a list '{key}' (got {sorted(content)})")
    cases = content[key]
    good = isinstance(cases, list) and all(
        isinstance(case, str) and re.fullmatch(r"[A-Za-z0-9][\w.+-]*", case) for case in cases
    )
    if not good or not cases:
        raise ValueError(f"{manifest}: expected '{key}' to be a list of case names")
    return cases


def _read_case(internal: Path, aerofoil: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a case that are cached."""
    mesh, wall = VTKXMLFile(internal), VTKXMLFile(aerofoil)
    for file, kind in ((mesh, "UnstructuredGrid"), (wall, "PolyData")):
        if file.kind != kind:
            raise ValueError(f"{file.path}: expected a {kind} (got a {file.kind})")
    points = mesh.points()[:, :2]
    velocity = mesh.read("PointData", "U", 3)[:, :2]
    surf = velocity[:, 0] == 0
    arrays = {
        "pos": points,
        "distance": -mesh.read("PointData", "implicit_distance")[:, None],
        "normals": _normals(points, surf, wall),
        "velocity": velocity,
        "pressure": mesh.read("PointData", "p")[:, None],
        "turbulent_viscosity": mesh.read("PointData", "nut")[:, None],
    }
    stored = {name: np.ascontiguousarray(values, np.float32) for name, values in arrays.items()}
    return {**stored, "surf": surf, "quad": _quads(mesh).astype(np.int32)}


def _quads(internal: VTKXMLFile) -> NDArray[Any]:
    nodes, ends = internal.cells("Cells")
    types = internal.read("Cells", "types")
    quads = len(ends) * 4 == len(nodes) and (types == _VTK_QUAD).all()
    if not quads or (ends != np.arange(4, len(nodes) + 1, 4)).any():
        raise ValueError(f"{internal.path}: expected quads only")
    return nodes.reshape(-1, 4)


def _normals(
    points: NDArray[Any], surf: NDArray[np.bool_], aerofoil: VTKXMLFile
) -> NDArray[np.float32]:
    """Normals [N, 2] at the nodes of the aerofoil, zero elsewhere."""
    normals = np.zeros(points.shape, dtype=np.float32)
    row = match_points(points[surf], aerofoil.points()[:, :2])
    if (row < 0).any():
        raise ValueError(
            f"{aerofoil.path}: {int((row < 0).sum())} of {len(row)} nodes on the aerofoil are not "
            f"in it; the two files belong to different cases"
        )
    normals[surf] = aerofoil.read("PointData", "Normals", 3)[row, :2]
    return normals
