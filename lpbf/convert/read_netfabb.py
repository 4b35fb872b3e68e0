"""Reading of mechanical results of Autodesk Netfabb, in EnSight Gold binary files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from flare_mesh.choices import check_choice
from flare_mesh.io.reader_process import reason_of
from flare_mesh.mesh import check_node_numbers
from lpbf.convert.converted_case import ConvertedCase
from lpbf.convert.ensight_case import EnsightCase, Variable, read_ensight_case

if TYPE_CHECKING:
    import pyvista

PLATE = ("keep", "drop")
"""Treatments of the build plate."""

# End of the file name, descriptions, and kind of each field.
_FIELDS = {
    "displacement": (".dis.ens", {"displacement", "disp", "dis"}, "vector per node"),
    "von_mises": (".svm.ens", {"vonmises", "vonmisesstress", "svm"}, "scalar per node"),
    "temperature": (".tmp.ens", {"temperature", "temp", "tmp"}, "scalar per node"),
}
_HEXAHEDRON = 12  # VTK's cell type


def read_netfabb(
    path: str | Path,
    *,
    step: int = -1,
    plate: str = "keep",
    part: str | None = None,
    fields: Mapping[str, str] | None = None,
) -> ConvertedCase:
    """Read one state of a Netfabb result by VTK.

    The format has no specification; this is known from the published set and from other readers:

    - ``[<case>_]mechanical.case`` lists two time sets. The fields have two states per layer, one
      for the cooled part, and a last one for the part without its plate. The growing mesh has one
      state per layer and these two.
    - One EnSight part holds the build plate (z < 0) and the part. All cells are eight-node
      hexahedra in VTK's order. The mesh is coarser away from details: hanging nodes lie on the
      edges and faces of larger cells. They have values of their own and are read as they are.
    - The nodal fields are ``.dis.ens``, the displacement (mm), ``.svm.ens``, the von Mises stress
      (MPa), and ``.tmp.ens``, the temperature (degrees Celsius).
    - Headers say "Fortran Binary", but there are no record markers. VTK decides by the bytes.

    Args:
        path: The ``.case`` file.
        step: State of the fields, from the first (0) or back from the last (-1).
        plate: ``"keep"``, as in the published set, or ``"drop"`` the cells that reach below z = 0.
        part: Name of the EnSight part, if there are several.
        fields: Names in the file of ``displacement``, ``von_mises`` or ``temperature``, if they
            cannot be found by file name or description.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If files are damaged or missing, or their content is not as above.
    """
    check_choice("unknown plate", plate, PLATE)
    case = read_ensight_case(path)
    chosen = {name: _choose(case, name, (fields or {}).get(name)) for name in _FIELDS}
    for file in sorted(case.path.parent.glob(case.geometry)):
        _check_header(file)
    grid, time = _read_grid(case, chosen, step, part)
    columns = {name: np.asarray(grid.point_data[v.name]) for name, v in chosen.items()}
    points, cells = np.asarray(grid.points), np.asarray(grid.cells).reshape(-1, 9)[:, 1:]
    try:  # VTK does not check them
        check_node_numbers("hexahedron", cells, len(points))
    except ValueError as error:
        raise ValueError(f"{path}: {error}; export it again") from error
    if plate == "drop":
        above = (points[:, 2] > -1e-3)[cells].all(axis=1)
        if not above.any():
            raise ValueError(f"{path}: expected cells above z = 0 (got none); use plate='keep'")
        cells = cells[above]
    nodes, numbers = np.unique(cells, return_inverse=True)
    return ConvertedCase(
        points=points[nodes],
        cells=numbers.reshape(cells.shape),
        **{name: values[nodes] for name, values in columns.items()},
        metadata={"source": "Netfabb", "file": case.path.name, "time": time, "plate": plate},
    )


def _check_header(path: Path) -> None:
    """Check the first six lines of a binary geometry file, without which VTK's reader crashes."""
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
        wanted = f"named {name!r}" if name else f"in a file *{suffix}"
        raise ValueError(
            f"{case.path}: expected one {kind} as {field.replace('_', ' ')} {wanted} (got "
            f"{listed}); give its name"
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
    except RuntimeError as error:  # an error reported by VTK
        raise ValueError(
            f"{case.path}: its files cannot be read ({reason_of(error)}); one is missing or cut off"
        ) from error
    parts = {str(name).strip(): block for name, block in zip(blocks.keys(), blocks, strict=True)}
    parts = {name: block for name, block in parts.items() if block is not None and block.n_cells}
    if len(parts) != 1 and part not in parts:
        raise ValueError(
            f"{case.path}: expected {'one part' if part is None else f'the part {part!r}'} "
            f"(got {sorted(parts)}); choose one of them"
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
                f"{case.path}: expected {name.replace('_', ' ')} '{variable.name}' at this step "
                f"(got none); its file is missing or belongs to another mesh"
            )
    return grid, time


def _set_time(case: EnsightCase, reader: Any, variable: Variable, step: int) -> float | None:
    """Choose the state; of the other files, VTK takes the latest state up to it."""
    if not case.num_steps:
        if step not in (0, -1):
            raise ValueError(f"{case.path}: expected step 0, its only state (got {step})")
        return None
    number = min(case.num_steps) if variable.time_set is None else variable.time_set
    count = case.num_steps[number]
    if not -count <= step < count:
        raise ValueError(f"{case.path}: expected a step from 0 to {count - 1} (got {step})")
    reader.set_active_time_set(list(case.num_steps).index(number))
    # VTK's own value, in single precision, is not the one in the text.
    time = float(reader.time_values[step])
    reader.set_active_time_value(time)
    return time
