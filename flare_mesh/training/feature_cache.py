"""Files with the features of cases, so that the next run need not compute them again."""

import copy
import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data

import flare_mesh
from flare_mesh import mesh, ops
from flare_mesh.data import transforms
from flare_mesh.data.transforms.resolver import TransformSpec
from flare_mesh.files import atomic_path
from flare_mesh.io.arrays import read_npz

_FIELDS = ("pos", "x", "y", "weight", "edge_index")
"""What training takes from a case."""
_CHANGED = "changed"
"""Array of a file with a mark for each of these that the features change."""
_FEWEST = 256
"""Nodes of the smallest case with a file; smaller ones are computed about as fast as read."""


class FeatureCache:
    """Transform of cases whose results are files, written once and read afterwards.

    A file's name is a checksum of all tensors of the case, of the transform's options and of the
    code that computes features; where one of these changes, the features are computed again. So
    they are where a file is damaged or missing. A folder that cannot be written to costs that time
    only.

    Args:
        transform: The transform, without random numbers.
        specs: Its options, as in a configuration.
        folder: Folder of the files.
    """

    def __init__(
        self, transform: Callable[[Any], Any], specs: Sequence[TransformSpec], folder: Path
    ) -> None:
        self.transform = transform
        self.folder = folder
        self._options = json.dumps([*specs], sort_keys=True)

    def __call__(self, case: Data) -> Data:
        if len(case["pos"]) < _FEWEST:
            return self.transform(case)
        file = self.folder / f"{self._key(case)}.npz"
        found = _read(file, case)
        if found is None:
            found = self.transform(case)
            # Another process may write it too; both write the same.
            with suppress(OSError):
                _write(file, case, found)
        return found

    def _key(self, case: Data) -> str:
        checksum = hashlib.sha256(f"{self._options} {_code()}".encode())
        for name, value in sorted(case.to_dict().items()):
            if isinstance(value, Tensor):
                array = np.ascontiguousarray(value.detach().numpy())
                checksum.update(f" {name} {array.dtype} {array.shape} ".encode())
                checksum.update(array.data)
        return checksum.hexdigest()[:32]


def is_random(specs: Sequence[TransformSpec]) -> bool:
    """Whether one of the transforms draws random numbers."""
    names = [spec if isinstance(spec, str) else next(iter(spec), "") for spec in specs]
    return any(name == "add_noise" or name.startswith("random_") for name in names)


@cache
def _code() -> str:
    """Checksum of the sources from which features are computed."""
    checksum = hashlib.sha256(flare_mesh.__version__.encode())
    for package in (transforms, mesh, ops):
        for path in sorted(Path(str(package.__file__)).parent.rglob("*.py")):
            checksum.update(path.read_bytes())
    return checksum.hexdigest()


def _write(file: Path, case: Data, found: Data) -> None:
    changed = [name in found and found[name] is not case.get(name) for name in _FIELDS]
    arrays = {name: found[name].numpy() for name, new in zip(_FIELDS, changed, strict=True) if new}
    with atomic_path(file) as temporary:
        np.savez(temporary, allow_pickle=False, **arrays, **{_CHANGED: np.array(changed)})


def _read(file: Path, case: Data) -> Data | None:
    """The case with the features of a file; None if there is no whole file."""
    try:
        marks = read_npz(file, [_CHANGED])[_CHANGED]
        names = [name for name, new in zip(_FIELDS, marks.tolist(), strict=True) if new]
        arrays = read_npz(file, names)
    except (OSError, ValueError):
        return None
    out = copy.copy(case)
    for name, array in arrays.items():
        if name != "edge_index" and len(array) != len(case["pos"]):
            return None
        out[name] = torch.from_numpy(np.array(array))
    return out
