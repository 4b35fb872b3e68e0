"""A mechanical result of Autodesk Netfabb, in EnSight Gold binary files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flare_mesh.io.reader_process import reason_of
from flare_mesh.mesh import check_node_numbers
from lpbf.convert.converted_case import ConvertedCase
from lpbf.convert.ensight_case import EnsightCase, Variable, read_ensight_case

if TYPE_CHECKING:
    import pyvista

# Field: last part of its file's name, other descriptions of it, kind.
_FIELDS = {
    "displacement": (".dis.ens", {"displacement", "disp", "dis"}, "vector per node"),
    "von_mises": (".svm.ens", {"vonmises", "vonmisesstress", "svm"}, "scalar per node"),
    "temperature": (".tmp.ens", {"temperature", "temp", "tmp"}, "scalar per node"),
}
_HEXAHEDRON = 12  # VTK's code


def read_netfabb(
    path: str | Path,
    *,
    step: int = -1,
    plate: str = "keep",
    part: str | None = None,
    fields: Mapping[str, str] | None = None,
) -> ConvertedCase:
    """Reads one state of a Netfabb result through VTK.

    What such a result looks like, as far as it could be learnt from the published set and from
    how others read theirs (no such file came with a specification):

    - ``[<case>_]mechanical.case`` lists two time sets: the fields have twice as many states as the
      layers (two for each), and after them one for the cooled part and one for the part whose plate
      is gone, which is the last; the mesh has one state a layer and these two. The mesh grows.
    - One part holds the build plate (z < 0) and the part. All cells are eight-node hexahedra, in
      VTK's order. The mesh is coarsened away from details, so that hanging nodes lie on the edges
      and faces of larger cells; they have values like the others and are kept as they are.
    - ``.dis.ens`` is the displacement, ``.svm.ens`` the von Mises stress, ``.tmp.ens`` the
      temperature, at the nodes; mm, MPa and degrees Celsius.
    - Headers say "Fortran Binary", but there are no record markers. VTK looks at the bytes.

    Args:
        path: The ``.case`` file.
        step: Which state of the fields, from the first (0) or back from the last (-1).
        plate: ``"keep"``, as in the published set, or ``"drop"`` the cells that reach below z = 0.
        part: Which part to take, if there are several.
        fields: Names in the file of ``displacement``, ``von_mises`` or ``temperature``, where they
            are not found by themselves.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If files are damaged or missing, or what they hold is not as above.
    """
    if plate not in ("keep", "drop"):
        raise ValueError(f"unknown plate='{plate}'; choose 'keep' or 'drop'")
    case = read_ensight_case(path)
    chosen = {name: _choose(case, name, (fields or {}).get(name)) for name in _FIELDS}
    for file in sorted(case.path.parent.glob(case.geometry)):
        _check_header(file)
    grid, time = _read_grid(case, chosen, step, part)
    columns = {name: np.asarray(grid.point_data[v.name]) for name, v in chosen.items()}
    points, cells = np.asarray(grid.points), np.asarray(grid.cells).reshape(-1, 9)[:, 1:]
    try:  # VTK takes the numbers as they are
        check_node_numbers("hexahedron", cells, len(points))
    except ValueError as error:
        raise ValueError(f"{path}: {error}; export it again") from error
    if plate == "drop":
        above = (points[:, 2] > -1e-3)[cells].all(axis=1)
        if not above.any():
            raise ValueError(f"{path}: no cell lies above z = 0; use plate='keep'")
        cells = cells[above]
    nodes, numbers = np.unique(cells, return_inverse=True)
    return ConvertedCase(
        points=points[nodes],
        cells=numbers.reshape(cells.shape),
        **{name: values[nodes] for name, values in columns.items()},
        metadata={"source": "Netfabb", "file": case.path.name, "time": time, "plate": plate},
    )


def _check_header(path: Path) -> None:
    """Checks the first six lines of a binary geometry file, without which VTK's reader crashes.

    Raises:
        ValueError: If they are cut off or something else.
    """
    with path.open("rb") as file:
        head = file.read(6 * 80)
    if len(head) < 6 * 80 or b"node id" not in head or b"element id" not in head:
        raise ValueError(
            f"{path}: expected the header of an EnSight Gold binary geometry; export it again"
        )


def _choose(case: EnsightCase, field: str, name: str | None) -> Variable:
    suffix, aliases, kind = _FIELDS[field]

    def plain(text: str) -> str:
        return "".join(c for c in text.lower() if c.isalnum())

    if name is not None:
        found = [v for v in case.variables if v.name == name]
    else:
        found = [v for v in case.variables if v.files.endswith(suffix)] or [
            v for v in case.variables if plain(v.name) in aliases
        ]
    if len(found) != 1 or found[0].kind != kind:
        listed = ", ".join(f"'{v.name}' ({v.kind}, {v.files})" for v in case.variables) or "none"
        raise ValueError(
            f"{case.path}: expected one {kind} as {field.replace('_', ' ')} "
            f"({f'named {name!r}' if name else f'file *{suffix}'}; it has {listed}); give its name"
        )
    return found[0]


def _read_grid(
    case: EnsightCase, chosen: Mapping[str, Variable], step: int, part: str | None
) -> tuple["pyvista.UnstructuredGrid", float | None]:
    import pyvista

    try:
        with (
            pyvista.vtk_verbosity("off"),
            pyvista.VtkErrorCatcher(raise_errors=True, send_to_logging=False),
        ):
            reader: Any = pyvista.get_reader(str(case.path))
            reader.disable_all_point_arrays()
            for variable in chosen.values():
                reader.enable_point_array(variable.name)
            time = _set_time(case, reader, chosen["displacement"], step)
            blocks = reader.read()
    except RuntimeError as error:  # what VTK reports
        raise ValueError(
            f"{case.path}: its files cannot be read ({reason_of(error)}); one is missing or cut off"
        ) from error
    parts = {str(name).strip(): block for name, block in zip(blocks.keys(), blocks, strict=True)}
    parts = {name: block for name, block in parts.items() if block is not None and block.n_cells}
    if len(parts) != 1 and part not in parts:
        raise ValueError(
            f"{case.path}: expected one part (it has {sorted(parts)}"
            + (f", not '{part}'" if part is not None else "")
            + "); choose one of them"
        )
    grid = parts[part] if part in parts else next(iter(parts.values()))
    types = getattr(grid, "celltypes", np.zeros(0))
    if len(types) == 0 or (types != _HEXAHEDRON).any():
        others = sorted({int(t) for t in types} - {_HEXAHEDRON})
        raise ValueError(
            f"{case.path}: expected eight-node hexahedra only (got VTK cell types {others}); other "
            f"meshes are not converted"
        )
    for name, variable in chosen.items():
        values = grid.point_data.get(variable.name)
        wanted = (grid.n_points, 3) if variable.kind.startswith("vector") else (grid.n_points,)
        if values is None or values.shape != wanted:
            raise ValueError(
                f"{case.path}: {name.replace('_', ' ')} '{variable.name}' is not there at this "
                f"step; its file is missing or of another mesh"
            )
    return grid, time


def _set_time(case: EnsightCase, reader: Any, variable: Variable, step: int) -> float | None:
    """Chooses the state; VTK takes each other file's latest one that is not later."""
    if not case.num_steps:
        if step not in (0, -1):
            raise ValueError(f"{case.path}: has one state, no step {step}")
        return None
    number = min(case.num_steps) if variable.time_set is None else variable.time_set
    count = case.num_steps[number]
    if not -count <= step < count:
        raise ValueError(f"{case.path}: has steps 0 to {count - 1} (got {step})")
    reader.set_active_time_set(list(case.num_steps).index(number))
    # VTK keeps times in single precision: its own value, not the text's.
    time = float(reader.time_values[step])
    reader.set_active_time_value(time)
    return time
