"""Cache of the cases that a folder of meshes gives."""

import hashlib
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch.utils.data import DataLoader

from flare_mesh.cases.case_files import MeshStep, path_below
from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.documents import load_json
from flare_mesh.files import atomic_path, write_text
from flare_mesh.io import MeshFileWarning
from flare_mesh.io.arrays import MAX_BYTES, read_npz
from flare_mesh.io.external_references import referenced_files, resolve_below
from flare_mesh.io.mesh_formats import REFERENCING_SUFFIXES
from flare_mesh.mesh import MeshData

# Raise when the cached arrays of a recipe change, so that older caches are not used.
_FORMAT = 4


class MeshCache:
    """Folder with one uncompressed npz file per mesh, updated when the mesh file or recipe changes.

    Several data sets, such as the splits of one folder, and several processes may share it.

    Args:
        folder: Folder of the cached files.
        root: Folder of the mesh files.
        recipe: Recipe of the cases.
        fields: Fields to cache.
        max_bytes: Limit of the size that a file may declare.
    """

    def __init__(
        self,
        folder: Path,
        root: Path,
        recipe: CaseRecipe,
        fields: Sequence[str],
        *,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.folder = folder
        self.root = root
        self.recipe = recipe
        self.fields = tuple(fields)
        self.max_bytes = max_bytes
        keys = ("on", "edges", "weights", "origin", "allow")
        made_by: dict[str, Any] = {key: getattr(recipe, key) for key in keys}
        made_by |= {"format": _FORMAT, "fields": fields}
        if not folder.resolve().is_relative_to(root.resolve()):
            # Other roots may have files of the same names.
            made_by["root"] = str(root.resolve())
        text = json.dumps(made_by, sort_keys=True)
        self.tag = hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def index_file(self) -> Path:
        """JSON file with the entry of each cached mesh."""
        return self.folder / f"index-{self.tag}.json"

    def key(self, step: MeshStep) -> str:
        """Name of a mesh in the index."""
        name = path_below(self.root, step.file)
        return name if step.number is None else f"{name}#{step.number}"

    def file(self, step: MeshStep) -> Path:
        """The cached file of a mesh."""
        return self.folder / self.tag / f"{self.key(step)}.npz"

    def state(self, step: MeshStep) -> list[int]:
        """Sizes and modification times of the mesh file and of the files that it names.

        Raises:
            ValueError: If it names files outside its folder.
            FileNotFoundError: If the file does not exist.
        """
        stats = [os.stat(step.file)]
        if step.file.lower().endswith(REFERENCING_SUFFIXES):
            source = Path(step.file)
            files = [
                resolve_below(source.parent, name, source) for name in referenced_files(source)
            ]
            stats += [file.stat() for file in files if file.exists()]
        return [number for stat in stats for number in (stat.st_size, stat.st_mtime_ns)]

    def add(self, step: MeshStep) -> dict[str, Any]:
        """Read a mesh and cache its case.

        Returns:
            The number of ``channels`` of each field, or the ``error``; and the ``warnings`` of the
            reader, which would be lost in a worker, and be given for a new cache only.
        """
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", MeshFileWarning)
            entry = self._add(step)
        found = [str(one.message) for one in caught if issubclass(one.category, MeshFileWarning)]
        for other in caught:
            if not issubclass(other.category, MeshFileWarning):
                warnings.warn_explicit(other.message, other.category, other.filename, other.lineno)
        return {**entry, "warnings": found} if found else entry

    def _add(self, step: MeshStep) -> dict[str, Any]:
        try:
            mesh = self.recipe.read(step, self.fields, max_bytes=self.max_bytes)
            case = self.recipe.make_case(mesh, self.fields)
        except Exception as error:  # readers raise errors of many types
            reason = str(error) or type(error).__name__
            return {"error": reason if reason.startswith(step.file) else f"{step.file}: {reason}"}
        arrays = {array: case[name].numpy() for name, array in self._arrays().items()}
        with atomic_path(self.file(step)) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)
        return {"channels": {name: case[name].shape[1] for name in self.fields}}

    def read(self, step: MeshStep) -> MeshData:
        """Read a cached case; cache it again if its file is damaged or missing.

        Raises:
            ValueError: If the file is damaged and the mesh cannot be read any more.
        """
        names = self._arrays()
        try:
            arrays = read_npz(self.file(step), names.values(), max_bytes=self.max_bytes)
        except (ValueError, FileNotFoundError):
            entry = self.add(step)
            if "error" in entry:
                raise ValueError(entry["error"]) from None
            arrays = read_npz(self.file(step), names.values(), max_bytes=self.max_bytes)
        case = MeshData()
        case.origin = self.recipe.origin
        for name, array in names.items():
            case[name] = torch.from_numpy(np.array(arrays[array]))
        return case

    def _arrays(self) -> dict[str, str]:
        """Name of each tensor in the npz file; fields are numbered, since their names are free."""
        own = ["pos", "cell_index", "cell_type"]
        own += ["edge_index"] * self.recipe.edges + ["weight"] * self.recipe.weights
        return {name: name for name in own} | {
            name: f"field_{number}" for number, name in enumerate(self.fields)
        }

    def update(self, steps: Sequence[MeshStep], *, workers: int = 0) -> dict[MeshStep, Any]:
        """Cache the meshes that are missing or changed, and remove those whose files are gone.

        Errors are not cached: a mesh that cannot be read is tried again the next time.

        Args:
            steps: All meshes.
            workers: Worker processes.

        Returns:
            The entry of each mesh, see :meth:`add`.

        Raises:
            ValueError: If there is a mesh to cache and the folder is not writable.
        """
        known = self._read_index()
        entries: dict[MeshStep, dict[str, Any]] = {}
        stale: dict[MeshStep, list[int]] = {}
        states: dict[str, list[int]] = {}  # by file, which may have many steps
        for step in steps:
            try:
                state = states.get(step.file) or self.state(step)
            except (ValueError, OSError) as error:
                entries[step] = {"error": str(error)}
                continue
            states[step.file] = state
            entry = known.get(self.key(step), {})
            if entry.get("state") == state:
                entries[step] = entry
            else:
                stale[step] = state
        changed = {}
        if stale:
            self._check_writable()
            for step, entry in zip(stale, self._add_all([*stale], workers), strict=True):
                entries[step] = changed[self.key(step)] = {**entry, "state": stale[step]}
        others = known.keys() - {self.key(step) for step in steps}
        gone = {key for key in others if not self._has_source(key)}
        # Removal alone can wait for a process that may write to the folder.
        if changed or (gone and os.access(self.folder, os.W_OK)):
            self._write_index(changed, gone)
        return entries

    def _add_all(self, steps: list[MeshStep], workers: int) -> list[dict[str, Any]]:
        # A generator of its own, since a loader draws a seed even if nothing is random: a new
        # cache would change the random numbers that follow, such as a model's first weights.
        options: Any = {"collate_fn": self.add, "generator": torch.Generator()}
        loader: Any = DataLoader(steps, batch_size=None, num_workers=workers, **options)  # pyright: ignore[reportArgumentType]
        return list(
            track(
                loader,
                "reading meshes",
                total=len(steps),
                console=Console(stderr=True),
                disable=not sys.stderr.isatty(),
            )
        )

    def _read_index(self) -> dict[str, dict[str, Any]]:
        try:
            known = load_json(self.index_file.read_bytes())
        except (OSError, ValueError):
            return {}
        whole = isinstance(known, dict) and all(
            isinstance(entry, dict)
            and isinstance(entry.get("channels"), dict)
            and entry["channels"].keys() == set(self.fields)
            and all(type(number) is int for number in entry["channels"].values())
            and isinstance(entry.get("warnings", []), list)
            and all(isinstance(text, str) for text in entry.get("warnings", []))
            for entry in known.values()
        )
        return known if whole else {}

    def _write_index(self, changed: dict[str, dict[str, Any]], gone: set[str]) -> None:
        for key in gone:
            if ".." not in key.split("/"):
                Path(f"{self.folder / self.tag}/{key}.npz").unlink(missing_ok=True)
        # Read again, since other processes may have added entries in the meantime.
        known = {key: entry for key, entry in self._read_index().items() if key not in gone}
        for key, entry in changed.items():
            known.pop(key, None)
            if "error" not in entry:
                known[key] = entry
        write_text(self.index_file, json.dumps(known))

    def _has_source(self, key: str) -> bool:
        names = key, key.rpartition("#")[0]
        return any(os.path.isfile(os.path.join(self.root, name)) for name in names)

    def _check_writable(self) -> None:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.folder):
                pass
        except OSError as error:
            raise ValueError(
                f"{self.folder}: not writable as a cache of meshes ({error.strerror}); give a "
                f"writable folder as 'cache'"
            ) from error
