"""Base class of data sets of fields on meshes."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from torch_geometric.data import Dataset

from flare_mesh.cases.recipe import CaseRecipe, stack_fields
from flare_mesh.data.time_window import TimeWindow
from flare_mesh.mesh import MeshData

_log = logging.getLogger(__name__)


class SquareSymmetry(NamedTuple):
    """Whether all cases of a data set have the symmetries of the square about z.

    Attributes:
        holds: Whether each 90-degree rotation and reflection of a case is a valid case.
        reason: Why, or what to check, as whole sentences; empty if nothing is known.
    """

    holds: bool
    reason: str


class FieldDataset(Dataset, ABC):
    """Base class of data sets: named fields on meshes, with one case read at a time.

    A subclass lists its cases and reads one; this class stacks the ``inputs`` side by side to
    ``x`` [N, C_in] (None without inputs) and the ``targets`` to ``y`` [N, C_out], checks that all
    values are finite, and stores the name of the case as ``case_id``. A field [1, C] belongs to
    the whole case and is repeated at every node of ``x``.

    Args:
        root: Folder of the files.
        cases: Names of the cases, in order.
        inputs: Names of the fields in ``x``.
        targets: Names of the fields in ``y``.
        transform: Applied to each case on access, as in PyG.
        skip_bad: Reads all cases once, and logs and leaves out those that cannot be used. By
            default the first access to such a case raises.

    Raises:
        ValueError: If an input or target is not a field of the data set, or no case is left.
    """

    FIELDS: Mapping[str, int] = {}
    """Channels of each field that can be an input or a target."""
    UNITS: Mapping[str, str] = {}
    """Unit of each field; "1" if it is dimensionless."""
    FEATURES: ClassVar[tuple[str, ...]] = ()
    """Transforms for this data set, which ``flare-mesh init`` puts before ``geometry_features``."""
    VECTORS: ClassVar[frozenset[str]] = frozenset()
    """Fields that are vectors along x, y and z."""
    ADDRESS: ClassVar[str] = ""
    """Web page of the files."""
    grid_shape: tuple[int, ...] | None = None
    """Nodes along each axis of the structured grid of all cases, with nodes numbered row by row;
    None without such a grid."""
    feature_folder: Path | None = None
    """Folder of files with the features that training computes from the cases; None for none."""

    def __init__(
        self,
        root: str | Path,
        cases: Sequence[str],
        inputs: Sequence[str],
        targets: Sequence[str],
        *,
        transform: Callable[[Any], Any] | None = None,
        skip_bad: bool = False,
    ) -> None:
        name = type(self).__name__
        for role, names in (("inputs", inputs), ("targets", targets)):
            unknown = [field for field in names if field not in self.FIELDS]
            if unknown:
                raise ValueError(f"{name}: unknown {role} {unknown}; choose from {[*self.FIELDS]}")
        if not targets:
            raise ValueError(f"{name}: expected at least one target from {[*self.FIELDS]}")
        self.cases = cases
        self.inputs = tuple(inputs)
        self.targets = tuple(targets)
        super().__init__(str(root), transform)
        if skip_bad:
            self._indices = [i for i in range(len(self.cases)) if self._is_good(i)]
            if not self._indices:
                raise ValueError(f"{root}: no case of {len(self.cases)} can be used")

    @property
    def has_download(self) -> bool:
        """False: PyG downloads automatically, but some data sets have terabytes."""
        return False

    def info(self) -> dict[str, Any]:
        """Origin of the data in types of JSON, which is saved with surrogates trained on them."""
        return {}

    def square_symmetry(self) -> SquareSymmetry:
        """Whether 90-degree rotations and reflections of a case about z give valid cases.

        By default nothing is known. ``flare-mesh init`` trains with them where they do; the fields
        are then rotated as :attr:`VECTORS` or as scalars.
        """
        return SquareSymmetry(False, "")

    def recipe(self) -> CaseRecipe:
        """The recipe by which prediction reads mesh files for a model trained on these cases.

        By default that of plain mesh files, with edges for models that need them.
        """
        window = getattr(self, "window", None)
        if isinstance(window, TimeWindow):
            window = window.num_in, window.num_out
        return CaseRecipe(
            dataset=type(self).__name__,
            inputs=self.input_channels,
            targets=self.target_channels,
            units=dict(self.UNITS),
            window=window,
            edges=True,
            grid_shape=self.grid_shape,
            info=self.info(),
        )

    @property
    def input_channels(self) -> dict[str, int]:
        """Channels of each field in ``x``, by name, in order."""
        return {name: self.FIELDS[name] for name in self.inputs}

    @property
    def target_channels(self) -> dict[str, int]:
        """Channels of each field in ``y``, by name, in order."""
        return {name: self.FIELDS[name] for name in self.targets}

    def len(self) -> int:
        return len(self.cases)

    # PyG's method has no root, and is called automatically.
    @classmethod
    def download(cls, root: str | Path) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Download the published files, if they have a public address that needs no account.

        Raises:
            NotImplementedError: If they have none; the message names their web page.
        """
        raise NotImplementedError(
            f"{cls.__name__}: cannot be downloaded automatically; get it from {cls.ADDRESS} and "
            f"put it into {root}"
        )

    @abstractmethod
    def read(self, index: int) -> MeshData:
        """Read a case with its coordinates, cells or edges, and fields, without ``x`` and ``y``.

        Raises:
            ValueError: If its files cannot be used; the message begins with their path.
        """

    def get(self, idx: int) -> MeshData:
        data = self.read(idx)
        case = self.cases[idx]
        # Both before either is set, since a field may be called x or y.
        try:
            y = stack_fields(data, self.target_channels)
            data.x = stack_fields(data, self.input_channels) if self.inputs else None
        except ValueError as error:
            raise ValueError(f"{self.root}, case '{case}': {error}") from error
        data.y = y
        data.case_id = case
        if self.UNITS and not data.units:
            data.units = {name: self.UNITS[name] for name in self.FIELDS if name in self.UNITS}
        for name in ("pos", "x", "y"):
            # With NumPy, since torch would start all of its threads in each worker.
            finite = np.isfinite(data[name].numpy()) if name in data else np.True_
            if not finite.all():
                bad = int((~finite).sum())
                raise ValueError(
                    f"{self.root}, case '{case}': {bad} values of '{name}' are NaN or infinite; "
                    f"repair the case, or leave it out by skip_bad=True"
                )
        return data

    def _is_good(self, index: int) -> bool:
        try:
            self.get(index)
        except (ValueError, OSError) as error:
            _log.warning("case '%s' is left out: %s", self.cases[index], error)
            return False
        return True


def find_file(root: str | Path, name: str, address: str) -> Path:
    """Find the file with the path ``name``, in the authors' layout, below ``root``.

    ``root`` may be any folder of that path: for ``elasticity/Meshes/a.npy`` the file may be
    ``root/elasticity/Meshes/a.npy``, ``root/Meshes/a.npy`` or ``root/a.npy``.

    Raises:
        FileNotFoundError: If it does not exist; the message names its web page and its path.
    """
    found = locate_file(root, name)
    if found is None:
        raise FileNotFoundError(
            f"{Path(root, name)}: no such file; get it from {address} and put it there"
        )
    return found


def locate_file(root: str | Path, name: str) -> Path | None:
    """Like :func:`find_file`; None if it does not exist."""
    parts = Path(name).parts
    places = (Path(root, *parts[first:]) for first in range(len(parts)))
    return next((place for place in places if place.exists()), None)
