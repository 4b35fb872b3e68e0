"""Data set from the published files."""

from pathlib import Path
from typing import Any

from flare_mesh.documents import load_json
from flare_mesh.io.arrays import read_npz
from flare_mesh.mesh import check_node_numbers
from lpbf.convert.converted_case import ConvertedCase
from lpbf.convert.converted_set import open_folder, write_index
from lpbf.convert.filters import NO_LIMITS, Filters

_KEYS = ("pos", "elems", "temp", "disp", "vmstr")


def convert_published(
    root: str | Path, out: str | Path, *, filters: Filters | None = None
) -> tuple[int, dict[str, str]]:
    """Convert the published LPBF_FLARE files to a data set without pickles.

    The splits are unchanged. The metadata in the files is pickled and therefore not read; the
    parquet index of the set repeats it, and is read if ``pyarrow`` is installed. Edges are derived
    from the hexahedra.

    Args:
        root: Folder of the published set, with ``train/`` and ``test/``.
        out: Folder of the data set, new or empty.
        filters: Limits; None accepts all undamaged cases.

    Returns:
        Number of accepted cases, and the reasons of the rejected ones by name.

    Raises:
        FileNotFoundError: If there is no case.
        ValueError: If ``out`` is in use, the index is damaged, or every case was rejected.
    """
    root, out = Path(root), Path(out)
    files = [p for split in ("train", "test") for p in sorted((root / split).glob("[!.]*.npz"))]
    if not files:
        raise FileNotFoundError(
            f"{root}: no cases (train/*.npz, test/*.npz) in it; give the folder of LPBF_FLARE"
        )
    open_folder(out)
    known = _read_parquet(root)
    limits = filters or NO_LIMITS
    results: dict[str, dict[str, Any] | str] = {}
    for path in files:
        name = f"{path.parent.name}/{path.name}"
        try:
            case = _read(path, known.get(name, {}))
        except ValueError as error:
            results[name] = str(error)
        else:
            results[name] = limits.reason(case) or case.write(out / name, path.stem)
    return write_index(out, results)


def _read(path: Path, known: dict[str, Any]) -> ConvertedCase:
    arrays = read_npz(path, _KEYS)
    nodes, cells = len(arrays["pos"]), len(arrays["elems"])
    shapes = {"pos": (nodes, 3), "elems": (cells, 8), "disp": (nodes, 3)}
    for key, shape in {**shapes, "temp": (nodes, 1), "vmstr": (nodes, 1)}.items():
        got = arrays[key].shape
        if got != shape and not (got == (nodes,) and shape == (nodes, 1)):
            raise ValueError(f"{path}: expected '{key}' of shape {list(shape)} (got {list(got)})")
    if cells == 0:
        raise ValueError(f"{path}: expected hexahedra in 'elems' (got none)")
    try:
        check_node_numbers("elems", arrays["elems"], nodes)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return ConvertedCase(
        points=arrays["pos"],
        cells=arrays["elems"],
        displacement=arrays["disp"],
        von_mises=arrays["vmstr"].reshape(nodes),
        temperature=arrays["temp"].reshape(nodes),
        metadata={"source": "LPBF_FLARE", **({"published": known} if known else {})},
    )


def _read_parquet(root: Path) -> dict[str, dict[str, Any]]:
    """Metadata by file from the index; empty without an index or ``pyarrow``."""
    paths = sorted(root.rglob("*.parquet"))
    try:
        from pyarrow import ArrowException, parquet  # pyright: ignore[reportMissingImports]
    except ImportError:
        return {}
    known = {}
    for path in paths:
        try:
            for row in parquet.read_table(path, columns=["file", "metadata"]).to_pylist():
                known[row["file"]] = load_json(row["metadata"])
        except (ArrowException, OSError, ValueError, LookupError, TypeError) as error:
            raise ValueError(f"{path}: damaged ({error}); download it again") from error
    return known
