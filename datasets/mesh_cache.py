"""Meshes of a folder in the form in which they are read for training."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import meshio
import numpy as np
import torch

from flare_mesh.data import MeshData, atomic_path, read_mesh
from flare_mesh.data.arrays import MAX_BYTES, read_npz
from flare_mesh.data.convert import from_meshio
from flare_mesh.data.mesh_checks import check_mesh
from flare_mesh.data.mesh_formats import check_mesh_file, inside, referenced_files
from flare_mesh.datasets.mesh_cases import MeshStep

_REFERENCING = (".pvtu", ".vtm", ".xdmf", ".xmf", ".case", ".encas")


@dataclass(frozen=True)
class Recipe:
    """How a mesh file is made into a case.

    Attributes:
        fields: Fields to keep.
        on: ``"nodes"``, or ``"cells"`` for the centres of the cells as points.
        edges: Whether to keep ``edge_index``.
        weights: Whether to keep ``weight``, each point's share of length, area or volume.
        allow: What :func:`~flare_mesh.data.mesh_checks.check_mesh` lets pass.
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
        if step.index is None:
            mesh = read_mesh(step.file, max_bytes=self.max_bytes, **options)
        else:
            mesh = _xdmf_step(step.file, step.index, self.max_bytes, options)
        try:
            if mesh.num_cells:
                check_mesh(mesh.pos, mesh.cells, allow=self.allow)
            case = self._on_cells(mesh) if self.on == "cells" else self._on_nodes(mesh)
            for name in self.fields:
                bad = int((~case[name].isfinite()).sum())
                if bad:
                    raise ValueError(f"{bad} values of '{name}' are NaN or infinite")
            return case
        except ValueError as error:
            raise ValueError(f"{step.file}: {error}") from error

    def _on_nodes(self, mesh: MeshData) -> MeshData:
        out = MeshData(mesh.pos)
        out.cell_index, out.cell_type = mesh.cell_index, mesh.cell_type
        for name in self.fields:
            if name in mesh:
                out[name] = _columns(mesh[name])
            else:
                out[name] = _columns(mesh.cell_to_node(mesh.cell_fields[name]))
        if self.edges:
            out.edge_index = mesh.edges()
        if self.weights:
            out.weight = mesh.node_weights
        return out

    def _on_cells(self, mesh: MeshData) -> MeshData:
        out = MeshData(mesh.centroids)
        for name in self.fields:
            if name in mesh.cell_fields:
                values = mesh.cell_fields[name]
            else:
                values = mesh[name]
                if name not in mesh.case_fields:
                    values = mesh.node_to_cell(values)
            out[name] = _columns(values)
        if self.weights:
            out.weight = mesh.measures.abs()
        return out


def _columns(values: torch.Tensor) -> torch.Tensor:
    """A field as [N, C] of float32, whatever it is in the file."""
    return values.reshape(len(values), -1).float()


def _xdmf_step(file: Path, index: int, max_bytes: int, options: dict[str, Any]) -> MeshData:
    check_mesh_file(file, max_bytes=max_bytes)
    try:
        with meshio.xdmf.TimeSeriesReader(file) as reader:
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

    Args:
        folder: Where the files go.
        root: Folder of the sources.
        recipe: How they are made.
    """

    def __init__(self, folder: Path, root: Path, recipe: Recipe) -> None:
        self.folder = folder
        self.root = root
        self.recipe = recipe
        text = json.dumps(asdict(recipe), sort_keys=True)
        self.tag = hashlib.sha256(text.encode()).hexdigest()[:8]

    @property
    def index_file(self) -> Path:
        """What is known of each mesh."""
        return self.folder / f"index-{self.tag}.json"

    def key(self, step: MeshStep) -> str:
        """Name of a mesh in the index."""
        name = step.file.relative_to(self.root).as_posix()
        return name if step.index is None else f"{name}#{step.index}"

    def file(self, step: MeshStep) -> Path:
        """Where the mesh is kept."""
        return self.folder / self.tag / f"{self.key(step)}.npz"

    def state(self, step: MeshStep) -> list[int]:
        """Size and time of the source, and of the files that it names."""
        files = [step.file]
        if step.file.suffix.lower() in _REFERENCING:
            names = referenced_files(step.file)
            files += [inside(step.file.parent, name, step.file) for name in names]
        stats = [file.stat() for file in files if file.exists()]
        return [number for stat in stats for number in (stat.st_size, stat.st_mtime_ns)]

    def make(self, step: MeshStep) -> dict[str, Any]:
        """Reads a mesh and keeps it.

        Returns:
            ``channels`` by field and ``nodes``, or the ``error``.
        """
        try:
            mesh = self.recipe.make(step)
        except (ValueError, OSError) as error:
            return {"error": str(error)}
        arrays = {key: value.numpy() for key, value in mesh.to_dict().items()}
        with atomic_path(self.file(step)) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)
        channels = {name: mesh[name].shape[1] for name in self.recipe.fields}
        return {"channels": channels, "nodes": len(mesh.pos)}

    def read(self, step: MeshStep) -> MeshData:
        """Reads a mesh that is kept; makes it again if its file is damaged."""
        names = ["pos", "cell_index", "cell_type", *self.recipe.fields]
        names += ["edge_index"] * self.recipe.edges + ["weight"] * self.recipe.weights
        try:
            arrays = read_npz(self.file(step), names)
        except (ValueError, FileNotFoundError):
            entry = self.make(step)
            if "error" in entry:
                raise ValueError(entry["error"]) from None
            arrays = read_npz(self.file(step), names)
        mesh = MeshData()
        for name, values in arrays.items():
            mesh[name] = torch.from_numpy(np.array(values))
        return mesh

    def update(
        self,
        steps: Sequence[MeshStep],
        make_all: Callable[[Sequence[MeshStep]], Sequence[dict[str, Any]]],
    ) -> Mapping[str, dict[str, Any]]:
        """Makes what is missing or has changed.

        Args:
            steps: All meshes.
            make_all: Calls :meth:`make` for each of some meshes.

        Returns:
            The entry of each mesh by its key.
        """
        try:
            known = json.loads(self.index_file.read_text())
        except (OSError, ValueError):
            known = {}
        states = {self.key(step): self.state(step) for step in steps}
        stale = [
            step
            for step in steps
            if known.get(self.key(step), {}).get("state") != states[self.key(step)]
        ]
        if stale:
            for step, entry in zip(stale, make_all(stale), strict=True):
                known[self.key(step)] = {**entry, "state": states[self.key(step)]}
        gone = known.keys() - states.keys()
        for key in gone:
            (self.folder / self.tag / f"{key}.npz").unlink(missing_ok=True)
            del known[key]
        if stale or gone:
            with atomic_path(self.index_file) as temporary:
                temporary.write_text(json.dumps(known))
        return known
