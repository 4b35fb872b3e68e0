"""Reading of decks of Abaqus and CalculiX."""

import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from flare_mesh.io.cell_blocks import Arrays, blocks_to_arrays
from flare_mesh.io.mesh_file_warning import MeshFileWarning
from flare_mesh.io.readers.abaqus.body import read_body
from flare_mesh.io.readers.abaqus.coordinates import Frame, instance_frame
from flare_mesh.io.readers.abaqus.data_lines import DataLines
from flare_mesh.io.readers.abaqus.deck import Deck
from flare_mesh.io.readers.abaqus.limits import Limits
from flare_mesh.io.readers.abaqus.nodes import split_rows
from flare_mesh.io.readers.abaqus.placed import Placed, name_key
from flare_mesh.io.readers.abaqus.sets import SetReader
from flare_mesh.io.readers.abaqus.structure import Section, Structure, read_structure

_LISTED = 5


def read_abaqus(path: Path, step: int | None, max_bytes: int) -> Arrays:
    """Read the mesh of a deck of Abaqus or CalculiX.

    Source: Abaqus Keywords Guide and Input Syntax Rules; manual of CalculiX CrunchiX. Every
    instance of a part is a copy at its position; nodes of the assembly, such as reference points,
    follow. Sets become fields of zeros and ones: a set of a part has the name ``part.set``, a set
    of an instance ``instance.set``, and one of the assembly, or of a deck without parts, its own.

    Raises:
        ValueError: If the deck is damaged or truncated, or changes the mesh by something that is
            not read.
    """
    size = path.stat().st_size
    if size > max_bytes:
        raise ValueError(f"it has {size:,} bytes, more than the limit of {max_bytes:,}")
    return _DeckReader(path, Deck(path), Limits(size, max_bytes)).read()


class _DeckReader:
    """Reads a deck."""

    def __init__(self, path: Path, deck: Deck, limits: Limits) -> None:
        self.path, self.deck, self.limits = path, deck, limits
        self.placed: list[tuple[Section, Placed, Frame | None]] = []
        self.instances: dict[str, Placed] = {}
        self.missing: dict[str, tuple[int, int]] = {}

    def read(self) -> Arrays:
        """Read the mesh.

        Raises:
            ValueError: See :func:`read_abaqus`.
        """
        structure = read_structure(self.deck)
        own = Placed(read_body(self.deck, structure.own.keywords, self.limits))
        self._place_instances(structure)
        sizes = 0, 0
        for _, placed, _ in self.placed:
            placed.first_node, placed.first_cell = sizes
            sizes = (
                sizes[0] + len(placed.body.nodes.labels),
                sizes[1] + placed.body.num_cells,
            )
        own.first_node, own.first_cell = sizes
        self.placed.append((structure.own, own, None))
        sizes = sizes[0] + len(own.body.nodes.labels), sizes[1] + own.body.num_cells
        self._check_content(structure, sizes)
        points = [
            placed.body.nodes.points if frame is None else frame.apply(placed.body.nodes.points)
            for _, placed, frame in self.placed
        ]
        node_fields, cell_fields = self._fields(structure, sizes)
        self._warn(structure)
        return blocks_to_arrays(
            np.concatenate(points),
            self._cells(),
            node_fields,
            {name: [values] for name, values in cell_fields.items()},
        )

    def _place_instances(self, structure: Structure) -> None:
        bodies: dict[str, Placed] = {}
        for key, section in structure.instances.items():
            keyword = section.keyword
            assert keyword is not None
            self.limits.count(self.deck, keyword)
            part_key = name_key(section.part)
            part = structure.parts.get(part_key)
            if part is None or part.keyword is None or part.keyword.start > keyword.start:
                raise self.deck.error(
                    keyword, f"uses the part '{section.part[:80]}', which is not defined before"
                )
            if part_key not in bodies:
                bodies[part_key] = Placed(read_body(self.deck, part.keywords, self.limits))
            else:
                self.limits.generate(self.deck, keyword, bodies[part_key].body.size)
            placed = bodies[part_key]
            if section.keywords:
                keywords = part.keywords + section.keywords
                self.limits.generate(self.deck, keyword, placed.body.size)
                placed = Placed(read_body(self.deck, keywords, self.limits))
            # Copies share their body and its sets.
            copy = Placed(placed.body, sets=placed.sets)
            data = DataLines(self.deck, [keyword])
            try:
                frame = instance_frame(split_rows(data.rows()))
            except ValueError as error:
                text = str(error)
                located = text.startswith("line ")
                raise (error if located else self.deck.error(keyword, text)) from error
            self.placed.append((section, copy, frame))
            self.instances[key] = copy

    def _check_content(self, structure: Structure, sizes: tuple[int, int]) -> None:
        if structure.parts and not structure.instances:
            raise ValueError(
                "it has parts, but no *ASSEMBLY with instances of them, so it may be cut off; if "
                "it is one part and whole, remove *PART and *END PART"
            )
        if not sizes[0]:
            raise ValueError(
                "it has no nodes (*NODE); a deck that continues another analysis has no mesh"
            )
        if not sizes[1]:
            bodies = [placed.body for _, placed, _ in self.placed]
            left = sorted({name for body in bodies for name in body.left_out})
            raise ValueError(
                f"its elements have no cells (types {', '.join(left)[:200]})"
                if left
                else f"it has {sizes[0]} nodes, but no elements (*ELEMENT)"
            )

    def _cells(self) -> list[tuple[str, NDArray[np.int64]]]:
        """Cells of all bodies."""
        return [
            (cells.kind, cells.nodes + placed.first_node)
            for _, placed, _ in self.placed
            for cells in placed.body.cells
        ]

    def _fields(
        self, structure: Structure, sizes: tuple[int, int]
    ) -> tuple[dict[str, NDArray[np.uint8]], dict[str, NDArray[np.uint8]]]:
        """Fields of the sets of nodes and cells."""
        fields: dict[str, dict[str, NDArray[np.uint8]]] = {"nodes": {}, "cells": {}}
        origins: dict[tuple[str, str], tuple[int, str]] = {}
        done: set[int] = set()
        for section, placed, _ in self.placed:
            if id(placed.sets) not in done:
                done.add(id(placed.sets))
                self._read_sets(structure, section, placed, sizes)
            for (kind, key), name in placed.sets.names.items():
                masks = placed.sets.nodes if kind == "nodes" else placed.sets.cells
                owner = _owner(structure, section, placed.sets.last[kind, key])
                field = f"{owner.name}.{name}" if owner is not structure.own else name
                if origins.setdefault((kind, field), (id(owner), key)) != (id(owner), key):
                    raise ValueError(f"it has two sets of {kind} with the name '{field}'")
                at = kind != "nodes"
                if field not in fields[kind]:
                    fields[kind][field] = np.zeros(sizes[at], np.uint8)
                first = (placed.first_node, placed.first_cell)[at]
                first = 0 if owner is structure.own else first
                values = fields[kind][field]
                values[first : first + len(masks[key])] |= masks[key].view(np.uint8)
        return fields["nodes"], fields["cells"]

    def _read_sets(
        self, structure: Structure, section: Section, placed: Placed, sizes: tuple[int, int]
    ) -> None:
        whole = section is structure.own
        body = placed.body
        reader = SetReader(
            self.deck,
            self.limits,
            placed if whole else Placed(body, sets=placed.sets),
            self.instances if whole else {},
            name_key(structure.own.name),
            sizes if whole else (len(body.nodes.labels), body.num_cells),
            sizes,
        )
        reader.read()
        self.missing.update(reader.missing)

    def _warn(self, structure: Structure) -> None:
        messages = []
        counts: dict[str, int] = {}
        for _, placed, _ in self.placed:
            for name, count in placed.body.left_out.items():
                counts[name] = counts.get(name, 0) + count
        if counts:
            listed = ", ".join(f"{count} {name[:20]}" for name, count in [*counts.items()][:20])
            messages.append(f"elements of types without cells are left out: {listed}")
        if self.missing:
            listed = "; ".join(
                f"{count} of '{name[:40]}', first {first}"
                for name, (count, first) in [*self.missing.items()][:_LISTED]
            )
            messages.append(f"members of sets that are not defined are left out: {listed}")
        instanced = {name_key(section.part) for section in structure.instances.values()}
        unused = [
            part.name
            for key, part in structure.parts.items()
            if key not in instanced and any(one.name == "NODE" for one in part.keywords)
        ]
        if unused:
            names = ", ".join(unused[:_LISTED])
            messages.append(f"parts without an instance are left out: {names[:200]}")
        own = self.placed[-1][1].body
        used = np.zeros(len(own.nodes.labels), np.bool_)
        for cells in own.cells:
            used[cells.nodes.ravel()] = True
        if structure.last == "ELEMENT" and not used.all():
            messages.append(
                f"it ends with its elements, but {(~used).sum()} nodes belong to none: it may be "
                f"truncated"
            )
        if structure.imperfect:
            messages.append(
                "*IMPERFECTION is not read: the coordinates are those before the analysis adds it"
            )
        for message in messages:
            warnings.warn(f"{self.path}: {message}", MeshFileWarning, stacklevel=2)


def _owner(structure: Structure, section: Section, last: int) -> Section:
    """Section that names a set of an instance, by the last keyword of the set: part or instance."""
    keyword = section.keyword
    if keyword is None or last > keyword.start:
        return section
    return structure.parts[name_key(section.part)]
