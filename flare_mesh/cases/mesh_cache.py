"""Meshes of a folder in the form in which they are read for training."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import torch

from flare_mesh.cases.mesh_cases import MeshStep, path_below
from flare_mesh.files import atomic_path
from flare_mesh.io import read_mesh
from flare_mesh.io.arrays import MAX_BYTES, read_npz
from flare_mesh.io.mesh_formats import check_mesh_file
from flare_mesh.io.mesh_references import REFERENCING_SUFFIXES, inside, referenced_files
from flare_mesh.mesh import MeshData
from flare_mesh.mesh.cell_storage import VTK_CODES
from flare_mesh.mesh.checks import check_mesh
from flare_mesh.mesh.convert import from_meshio
from flare_mesh.mesh.geometry import highest_cells

# Another one, another cache: to be raised when what is kept for a recipe changes.
_FORMAT = 2


@dataclass(frozen=True)
class Recipe:
    """How a mesh file is made into a case.

    Attributes:
        fields: Fields to keep.
        on: ``"nodes"``, or ``"cells"`` for the centres of the cells as points.
        edges: Whether to keep ``edge_index``.
        weights: Whether to keep ``weight``, each point's share of length, area or volume.
        allow: What :func:`~flare_mesh.mesh.checks.check_mesh` lets pass.
        max_bytes: Limit of what a file may declare.
    """

    fields: tuple[str, ...]
    on: str = "nodes"
    edges: bool = False
    weights: bool = False
    allow: tuple[str, ...] = ()
    max_bytes: int = MAX_BYTES

    def make(self, step: MeshStep) -> MeshData:
        """Reads, checks and reduces a mesh.

        Raises:
            ValueError: If the file cannot be used; names the file.
        """
        options: dict[str, Any] = {"fields": self.fields, "edges": False}
        try:
            if step.number is None:
                mesh = read_mesh(Path(step.file), max_bytes=self.max_bytes, **options)
            else:
                mesh = read_xdmf_step(Path(step.file), step.number, self.max_bytes, options)
            if mesh.num_cells:
                check_mesh(mesh.pos, mesh.cells, allow=self.allow)
            case = self._on_cells(mesh) if self.on == "cells" else self._on_nodes(mesh)
            for name in self.fields:
                bad = int((~case[name].isfinite()).sum())
                if bad:
                    raise ValueError(f"{bad} values of '{name}' are NaN or infinite")
            return case
        # Readers raise what they like.
        except Exception as error:
            reason = str(error) or type(error).__name__
            named = reason.startswith(step.file)
            raise ValueError(reason if named else f"{step.file}: {reason}") from error

    def _on_nodes(self, mesh: MeshData) -> MeshData:
        out = MeshData(mesh.pos)
        out.cell_index, out.cell_type = mesh.cell_index, mesh.cell_type
        for name in self.fields:
            if name in mesh:
                out[name] = _columns(mesh[name])
            else:
                out[name] = _columns(mesh.cell_to_node(mesh.cell_fields[name].float()))
        if self.edges:
            out.edge_index = mesh.edges()
        if self.weights:
            out.weight = mesh.node_weights
        return out

    def _on_cells(self, mesh: MeshData) -> MeshData:
        solid = of_highest_dimension(mesh)
        out = MeshData(solid.centroids)
        for name in self.fields:
            if name in mesh.cell_fields:
                values = solid.cell_fields[name]
            else:
                values = mesh[name]
                if name not in mesh.case_fields:
                    values = solid.node_to_cell(values.float())
            out[name] = _columns(values)
        if self.weights:
            out.weight = solid.measures.abs()
        return out


def of_highest_dimension(mesh: MeshData) -> MeshData:
    """The mesh without its boundary, where that has cells too."""
    codes = torch.tensor([VTK_CODES[kind] for kind in highest_cells(mesh.cells)])
    return mesh.select_cells(torch.isin(mesh.cell_type, codes.to(mesh.cell_type.dtype)))


def _columns(values: torch.Tensor) -> torch.Tensor:
    """A field as [N, C] of float32, whatever it is in the file."""
    return values.reshape(len(values), -1).float()


def read_xdmf_step(file: Path, index: int, max_bytes: int, options: dict[str, Any]) -> MeshData:
    """One time step of an XDMF file; ``options`` are those of :func:`read_mesh`."""
    check_mesh_file(file, max_bytes=max_bytes)
    try:
        with meshio.xdmf.TimeSeriesReader(file) as reader:
            points: Any
            cell_data: Any
            points, cells = reader.read_points_cells()
            _, point_data, cell_data = reader.read_data(index)
        mesh = meshio.Mesh(points, cells, point_data=point_data, cell_data=cell_data)
    except (Exception, SystemExit) as error:
        raise ValueError(f"{file}: step {index} cannot be read ({error})") from error
    try:
        return from_meshio(mesh, **options)
    except ValueError as error:
        raise ValueError(f"{file}, step {index}: {error}") from error


class MeshCache:
    """One npz file for each mesh, uncompressed, made again when its source or recipe changes.

    Several sets, such as the splits of one folder, and several processes may share the folder.

    Args:
        folder: Where the files go.
        root: Folder of the sources.
        recipe: How they are made.
    """

    def __init__(self, folder: Path, root: Path, recipe: Recipe) -> None:
        self.folder = folder
        self.root = root
        self.recipe = recipe
        made_by = {"format": _FORMAT, **asdict(recipe)}
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
                file = inside(source.parent, name, source)
                if file.exists():
                    stat = file.stat()
                    state += [stat.st_size, stat.st_mtime_ns]
        return state

    def make(self, step: MeshStep) -> dict[str, Any]:
        """Reads a mesh and keeps it.

        Returns:
            ``channels`` by field and ``nodes``, or the ``error``.
        """
        try:
            mesh = self.recipe.make(step)
        except ValueError as error:
            return {"error": str(error)}
        arrays = {array: mesh[name].numpy() for name, array in self._arrays().items()}
        with atomic_path(self.file(step)) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)
        channels = {name: mesh[name].shape[1] for name in self.recipe.fields}
        return {"channels": channels, "nodes": len(mesh.pos)}

    def read(self, step: MeshStep) -> MeshData:
        """Reads a mesh that is kept; makes it again if its file is damaged."""
        names = self._arrays()
        max_bytes = self.recipe.max_bytes
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
            name: f"field_{number}" for number, name in enumerate(self.recipe.fields)
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
