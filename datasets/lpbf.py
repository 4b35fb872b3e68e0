"""Distortion and stress of laser powder bed fusion parts."""

import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.choices import clip
from flare_mesh.datasets.array_dataset import check_shape, float32_tensor
from flare_mesh.datasets.field_dataset import FieldDataset, SquareSymmetry
from flare_mesh.documents import load_json
from flare_mesh.files import read_json_object
from flare_mesh.io.arrays import MAX_BYTES, read_npz
from flare_mesh.mesh import MeshData, check_node_numbers


class LPBF(FieldDataset):
    """Parts built by laser powder bed fusion, in the layout of LPBF_FLARE (arXiv 2508.12594).

    The published data set (MIT licence, Ti-6Al-4V, Autodesk Netfabb on Fusion 360 geometries) or
    one written by ``python -m lpbf.generate``: ``{train,test}/<case>.npz``. Only the arrays below
    are read, one case at a time and without unpickling.

    Each case is a :class:`~flare_mesh.MeshData` with ``pos`` [N, 3] mm, ``edge_index``,
    ``hexahedron`` [E, 8] and the fields. The published task is the z displacement from the
    positions alone, which are divided by (30, 30, 60) mm.

    ==============  ========  ====  ===================
    field           channels  unit  in the file
    ==============  ========  ====  ===================
    displacement    3         mm    ``disp``
    displacement_z  1         mm    ``disp``, its third
    von_mises       1         MPa   ``vmstr``
    temperature     1         C     ``temp``
    support_share   1         1     ``support``
    ==============  ========  ====  ===================

    ``support_share`` is the share of supports in the voxels around a node; it is read if it is an
    input or a target, and only sets that were generated with supports have it.

    ==========  =======  =======  ============  =======================
    published   train    test     nodes         max displacement, mm
    ==========  =======  =======  ============  =======================
    cases       1,100    290      736 - 47,542  0.295 mean, 0.998 max
    ==========  =======  =======  ============  =======================

    Args:
        root: Folder of the data set.
        split: ``"train"`` or ``"test"``.
        inputs: Fields of ``x``; none by default.
        targets: Fields of ``y``.
        transform: Applied to each case on access, as in PyG.
        skip_bad: Leaves out cases that cannot be used, see :class:`FieldDataset`.
        max_bytes: Limit of the size that an array may declare.

    Raises:
        FileNotFoundError: If the split's folder is missing or empty.
        ValueError: If the split or a field is unknown; on access, if a file is damaged.
    """

    FIELDS = {
        "displacement": 3,
        "displacement_z": 1,
        "von_mises": 1,
        "temperature": 1,
        "support_share": 1,
    }
    UNITS = {"displacement": "mm", "displacement_z": "mm", "von_mises": "MPa", "temperature": "C"}
    FEATURES = ("build_features", "support_features", "shrinkage_features")
    VECTORS = frozenset({"displacement"})
    ADDRESS = "https://huggingface.co/datasets/vedantpuri/LPBF_FLARE"
    STATS: ClassVar = {
        "cases": {"train": 1100, "test": 290},
        "nodes": {"min": 736, "mean": 20_972, "max": 47_542},
        "edges": {"mean": 114_135},
        "max displacement, mm": {"mean": 0.295, "max": 0.998},
    }
    _KEYS = {"displacement": "disp", "von_mises": "vmstr", "temperature": "temp"}

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        inputs: Sequence[str] = (),
        targets: Sequence[str] = ("displacement", "von_mises"),
        transform: Callable[[Any], Any] | None = None,
        skip_bad: bool = False,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        if split not in ("train", "test"):
            raise ValueError(f"LPBF: unknown split '{split}'; choose 'train' or 'test'")
        self.folder = Path(root) / split
        names = os.listdir(self.folder) if self.folder.is_dir() else []
        cases = sorted(n[:-4] for n in names if n.endswith(".npz") and not n.startswith("."))
        if not cases:
            raise FileNotFoundError(
                f"{self.folder}: no cases (*.npz); generate some with `python -m lpbf.generate "
                f"--out {root}` (with more parts or a larger --test-fraction if the other split "
                f"has cases), or get the published data set by LPBF.download({str(root)!r})"
            )
        self.split = split
        self.max_bytes = max_bytes
        super().__init__(root, cases, inputs, targets, transform=transform, skip_bad=skip_bad)

    @classmethod
    def download(cls, root: str | Path) -> None:
        """Download the published data set from the Hugging Face hub, or resume a download.

        Raises:
            ImportError: If ``huggingface_hub`` is not installed.
            ConnectionError: If the hub does not answer.
        """
        from flare_mesh.io.download import download_hub

        download_hub("vedantpuri/LPBF_FLARE", root)

    def info(self) -> dict[str, Any]:
        """Pitch, process and other settings of a generated data set; empty for the published one.

        Raises:
            ValueError: If ``settings.json`` is damaged.
        """
        return read_json_object(Path(self.root) / "settings.json")

    def square_symmetry(self) -> SquareSymmetry:
        """Whether the inherent strain of each case, by ``index.json``, is equal in x and y.

        All else of the process is isotropic about z, and a scan rotation does not change such a
        strain. Nothing is decided without an entry of each case, as in the published data set.

        Raises:
            ValueError: If ``index.json`` is damaged.
        """
        strains = self._inherent_strains()
        if strains is None:
            return SquareSymmetry(
                False,
                "There is no index.json with the inherent strain of each case. If it is equal in x "
                "and y, add 'augment' and 'average_symmetries' of the configuration lpbf_cpu: "
                "rotations by 90 degrees and reflections give valid cases then, and few parts "
                "suffice.",
            )
        for case, (along, across, _) in zip(self.cases, strains, strict=True):
            if along != across:
                return SquareSymmetry(
                    False,
                    f"The inherent strain differs in x and y, {along:g} and {across:g} in the case "
                    f"'{case}', so rotations by 90 degrees and reflections do not give valid "
                    f"cases.",
                )
        return SquareSymmetry(
            True,
            f"The inherent strain is equal in x and y in all {len(strains)} training cases, by "
            f"index.json, so random rotations by 90 degrees and reflections give valid cases.",
        )

    def _inherent_strains(self) -> list[tuple[float, float, float]] | None:
        """Inherent strain of each case by ``index.json``; None if it lacks one."""
        path = Path(self.root) / "index.json"
        if not path.is_file():
            return None
        try:
            entries = load_json(path.read_text())
            known = {entry["file"]: entry.get("metadata", {}) for entry in entries}
            found = []
            for case in self.cases:
                process = known.get(f"{self.split}/{case}.npz", {}).get("process")
                if process is None:
                    return None
                along, across, build = map(float, process["inherent_strain"])
                found.append((along, across, build))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{path}: expected a list of cases with 'file' and "
                f"'metadata.process.inherent_strain' of three numbers (got "
                f"{type(error).__name__}: {clip(error, 100)}); generate the data set again, or "
                f"remove the file"
            ) from error
        return found

    def recipe(self) -> CaseRecipe:
        """The recipe of mesh files and CAD parts, which the source plug-in ``lpbf`` reads."""
        return replace(super().recipe(), source="lpbf")

    def path(self, index: int) -> Path:
        """The file of a case."""
        return self.folder / f"{self.cases[index]}.npz"

    def read(self, index: int) -> MeshData:
        path = self.path(index)
        keys = dict(self._KEYS)
        if "support_share" in (*self.inputs, *self.targets):
            keys["support_share"] = "support"
        needed = ("pos", "edge_index", "elems", *keys.values())
        arrays = read_npz(path, needed, max_bytes=self.max_bytes)
        nodes = len(arrays["pos"])
        shapes = {"pos": (nodes, 3), "edge_index": (2, None), "elems": (None, 8)}
        shapes |= {key: (nodes, self.FIELDS[name]) for name, key in keys.items()}
        try:
            for key, shape in shapes.items():
                if arrays[key].shape == (nodes,) and shape == (nodes, 1):
                    arrays[key] = arrays[key][:, None]
                check_shape(f"'{key}'", arrays[key].shape, shape)
            for key in ("edge_index", "elems"):
                check_node_numbers(key, arrays[key], nodes)
            data = MeshData(float32_tensor(arrays["pos"]))
            data.edge_index = torch.from_numpy(arrays["edge_index"].astype(np.int64))
            data.hexahedron = torch.from_numpy(arrays["elems"].astype(np.int64))
            for name, key in keys.items():
                data[name] = float32_tensor(arrays[key])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
        if "displacement_z" in (*self.inputs, *self.targets):
            data["displacement_z"] = data["displacement"][:, 2:].contiguous()
        return data
