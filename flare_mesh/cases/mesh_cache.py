"""Meshes of a folder in the form in which they are read for training."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from flare_mesh.cases.mesh_cases import MeshStep, path_below
from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.files import atomic_path
from flare_mesh.io.arrays import MAX_BYTES, read_npz
from flare_mesh.io.external_references import referenced_files, resolve_below
from flare_mesh.io.mesh_formats import REFERENCING_SUFFIXES
from flare_mesh.mesh import MeshData

# Another one, another cache: to be raised when what is kept for a recipe changes.
_FORMAT = 3


class MeshCache:
    """One npz file for each mesh, uncompressed, made again when its source or recipe changes.

    Several sets, such as the splits of one folder, and several processes may share the folder.

    Args:
        folder: Folder of the cached files.
        root: Folder of the mesh files.
        recipe: How a mesh file becomes a case.
        fields: The fields to cache.
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
        keys = ("on", "edges", "weights", "allow")
        made_by: dict[str, Any] = {key: getattr(recipe, key) for key in keys}
        made_by |= {"format": _FORMAT, "fields": fields, "max_bytes": max_bytes}
        if not folder.resolve().is_relative_to(root.resolve()):
            # Other roots may have files of the same names.
            made_by["root"] = str(root.resolve())
        text = json.dumps(made_by, sort_keys=True)
        self.tag = hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def index_file(self) -> Path:
        """What is known of each mesh."""
        return self.folder / f"index-{self.tag}.json"

    def key(self, step: MeshStep) -> str:
        """Name of a mesh in the index."""
        name = path_below(self.root, step.file)
        return name if step.number is None else f"{name}#{step.number}"

    def file(self, step: MeshStep) -> Path:
        """Where the mesh is kept."""
        return self.folder / self.tag / f"{self.key(step)}.npz"

    def state(self, step: MeshStep) -> list[int]:
        """Size and time of the source, and of the files that it names.

        Raises:
            ValueError: If it names files outside of its folder.
            FileNotFoundError: If there is no such file.
        """
        stat = os.stat(step.file)
        state = [stat.st_size, stat.st_mtime_ns]
        if step.file.lower().endswith(REFERENCING_SUFFIXES):
            source = Path(step.file)
            for name in referenced_files(source):
                file = resolve_below(source.parent, name, source)
                if file.exists():
                    stat = file.stat()
                    state += [stat.st_size, stat.st_mtime_ns]
        return state

    def make(self, step: MeshStep) -> dict[str, Any]:
        """Read a mesh and cache its case.

        Returns:
            ``channels`` by field and ``nodes``, or the ``error``.
        """
        try:
            mesh = self.recipe.read(step, self.fields, max_bytes=self.max_bytes)
            mesh = self.recipe.case(mesh, self.fields)
        # Readers raise errors of any type.
        except Exception as error:
            reason = str(error) or type(error).__name__
            return {"error": reason if reason.startswith(step.file) else f"{step.file}: {reason}"}
        arrays = {array: mesh[name].numpy() for name, array in self._arrays().items()}
        with atomic_path(self.file(step)) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)
        channels = {name: mesh[name].shape[1] for name in self.fields}
        return {"channels": channels, "nodes": len(mesh.pos)}

    def read(self, step: MeshStep) -> MeshData:
        """Reads a mesh that is kept; makes it again if its file is damaged."""
        names = self._arrays()
        max_bytes = self.max_bytes
        try:
            arrays = read_npz(self.file(step), names.values(), max_bytes=max_bytes)
        except (ValueError, FileNotFoundError):
            entry = self.make(step)
            if "error" in entry:
                raise ValueError(entry["error"]) from None
            arrays = read_npz(self.file(step), names.values(), max_bytes=max_bytes)
        mesh = MeshData()
        for name, array in names.items():
            mesh[name] = torch.from_numpy(np.array(arrays[array]))
        return mesh

    def _arrays(self) -> dict[str, str]:
        """Name of each tensor in the npz file: numbers for fields, which may be called anything."""
        own = ["pos", "cell_index", "cell_type"]
        own += ["edge_index"] * self.recipe.edges + ["weight"] * self.recipe.weights
        return {name: name for name in own} | {
            name: f"field_{number}" for number, name in enumerate(self.fields)
        }

    def update(
        self,
        steps: Sequence[MeshStep],
        make_all: Callable[[Sequence[MeshStep]], Sequence[dict[str, Any]]],
    ) -> dict[MeshStep, dict[str, Any]]:
        """Makes what is missing or has changed, and removes what has no source any more.

        Errors are not kept: what failed is tried again the next time.

        Args:
            steps: All meshes.
            make_all: Calls :meth:`make` for each of some meshes.

        Returns:
            The entry of each mesh.

        Raises:
            ValueError: If something is to be made and the folder cannot be written to.
        """
        known = self._index()
        entries: dict[MeshStep, dict[str, Any]] = {}
        states: dict[MeshStep, tuple[str, list[int]]] = {}
        asked = set()
        of_file: dict[str, list[int]] = {}  # the steps of one file have one state
        for step in steps:
            key = self.key(step)
            asked.add(key)
            try:
                state = of_file.get(step.file) or self.state(step)
            except (ValueError, OSError) as error:
                entries[step] = {"error": str(error)}
                continue
            of_file[step.file] = state
            entry = known.get(key)
            if entry is not None and entry.get("state") == state:
                entries[step] = entry
            else:
                states[step] = key, state
        changed = {}
        if states:
            self._check_writable()
            for step, entry in zip(states, make_all([*states]), strict=True):
                key, state = states[step]
                entries[step] = changed[key] = {**entry, "state": state}
        gone = {key for key in known.keys() - asked if not self._has_source(key)}
        # Tidying can wait for someone who may.
        if changed or (gone and os.access(self.folder, os.W_OK)):
            self._write(changed, gone)
        return entries

    def _index(self) -> dict[str, dict[str, Any]]:
        try:
            known = json.loads(self.index_file.read_bytes())
        except (OSError, ValueError, RecursionError):
            return {}
        whole = isinstance(known, dict) and all(
            isinstance(entry, dict) and isinstance(entry.get("channels"), dict)
            for entry in known.values()
        )
        return known if whole else {}

    def _write(self, changed: dict[str, dict[str, Any]], gone: set[str]) -> None:
        for key in gone:
            if ".." not in key.split("/"):
                Path(f"{self.folder / self.tag}/{key}.npz").unlink(missing_ok=True)
        # Read anew: others may have added theirs in the meantime.
        known = {key: entry for key, entry in self._index().items() if key not in gone}
        for key, entry in changed.items():
            known.pop(key, None)
            if "error" not in entry:
                known[key] = entry
        with atomic_path(self.index_file) as temporary:
            temporary.write_text(json.dumps(known))

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
                f"{self.folder}: meshes cannot be kept there ({error.strerror}); pass cache=, a "
                f"folder that can be written to"
            ) from error
