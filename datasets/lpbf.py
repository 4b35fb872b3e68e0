"""Distortion and stress of laser powder bed fusion parts."""

import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch_geometric.data import Dataset

from flare_mesh.data import MeshData, check_node_numbers


class LPBF(Dataset):
    """Parts built by laser powder bed fusion, in the layout of LPBF_FLARE (arXiv 2508.12594).

    Reads what ``python -m lpbf.generate`` writes as well as the published set
    (``vedantpuri/LPBF_FLARE`` on the Hugging Face hub, MIT licence, Ti-6Al-4V, 1,100 + 290
    cases): ``{train,test}/<case>.npz``. Nothing is unpickled; only the arrays named below are read,
    one case at a time.

    Each case is a :class:`~flare_mesh.MeshData` with ``pos`` [N, 3] mm, ``edge_index``,
    ``hexahedron`` [E, 8], ``displacement`` [N, 3] mm, ``von_mises`` [N, 1] MPa, ``temperature``
    [N, 1] degrees Celsius, ``case_id``, and the ``targets`` side by side as ``y``.

    Args:
        root: Folder of the data set.
        split: ``"train"`` or ``"test"``.
        targets: Names of the fields that make up ``y``.
        transform: Applied to each case on access, as in PyG.

    Raises:
        FileNotFoundError: If the split's folder is missing or empty.
        ValueError: If the split or a target is unknown; on access, if a file is damaged.
    """

    FIELDS = {"displacement": 3, "von_mises": 1, "temperature": 1}
    UNITS = {"displacement": "mm", "von_mises": "MPa", "temperature": "C"}
    _KEYS = {"displacement": "disp", "von_mises": "vmstr", "temperature": "temp"}

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        *,
        targets: Sequence[str] = ("displacement", "von_mises"),
        transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if split not in ("train", "test"):
            raise ValueError(f"LPBF: unknown split '{split}'; choose 'train' or 'test'")
        unknown = [name for name in targets if name not in self.FIELDS]
        if unknown or not targets:
            raise ValueError(f"LPBF: unknown targets {unknown}; choose from {list(self.FIELDS)}")
        folder = Path(root) / split
        self.files = sorted(p for p in folder.glob("*.npz") if not p.name.startswith("."))
        if not self.files:
            raise FileNotFoundError(
                f"{folder}: no cases (*.npz) there; make some with `python -m lpbf.generate "
                f"--out {root}` (more parts or a larger --test-fraction, if the other split has "
                f"some), or put the published set there"
            )
        self.split = split
        self.targets = tuple(targets)
        super().__init__(str(root), transform)

    def len(self) -> int:
        return len(self.files)

    def get(self, idx: int) -> MeshData:
        return self.read(self.files[idx], self.targets)

    @classmethod
    def read(cls, path: Path, targets: Sequence[str]) -> MeshData:
        """Reads one case file."""
        try:
            with path.open("rb") as raw, np.load(raw, allow_pickle=False) as file:
                needed = ("pos", "edge_index", "elems", *cls._KEYS.values())
                arrays = {key: file[key] for key in needed}
        except (KeyError, ValueError, OSError, EOFError, zipfile.BadZipFile) as error:
            raise ValueError(f"{path}: not a whole LPBF case ({error}); make it anew") from error
        data = MeshData(
            pos=torch.from_numpy(arrays["pos"].astype(np.float32)),
            edge_index=torch.from_numpy(arrays["edge_index"].astype(np.int64)),
            hexahedron=torch.from_numpy(arrays["elems"].astype(np.int64)),
            case_id=path.stem,
        )
        nodes = len(data.pos)
        for key in ("edge_index", "elems"):
            try:
                check_node_numbers(key, arrays[key], nodes)
            except ValueError as error:
                raise ValueError(f"{path}: {error}") from error
        for name, channels in cls.FIELDS.items():
            values = arrays[cls._KEYS[name]].astype(np.float32)
            if values.size != nodes * channels:
                raise ValueError(
                    f"{path}: expected '{cls._KEYS[name]}' of shape [{nodes}, {channels}] "
                    f"(got {list(values.shape)})"
                )
            data[name] = torch.from_numpy(values.reshape(nodes, channels))
        data.y = torch.cat([data[name] for name in targets], dim=1)
        return data

    @property
    def target_channels(self) -> dict[str, int]:
        """Names and channels of the fields in ``y``, in their order."""
        return {name: self.FIELDS[name] for name in self.targets}
