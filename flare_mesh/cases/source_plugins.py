"""Plug-ins by which an application makes prediction cases from files of its own.

A package registers a :class:`SourcePlugin` as an entry point of the group ``flare_mesh.sources``;
the simulator ``lpbf``, for instance, registers one that voxelises CAD parts. A data set names the
plug-in in its recipe, and prediction with a model trained on that data set reads files by it.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

from flare_mesh.choices import check_options

if TYPE_CHECKING:
    from flare_mesh.cases.case_files import CaseFiles
    from flare_mesh.cases.case_reader import CaseReader, PredictionCase
    from flare_mesh.mesh import MeshData

GROUP = "flare_mesh.sources"
"""Entry-point group of the plug-ins."""


Progress = Callable[[int, int, str], None]
"""Function that is called with the number of steps that are done, of all steps, and the name of the
last one."""


class SourceError(RuntimeError):
    """A source plug-in cannot make a case, for example because a simulation does not converge."""


class SourcePlugin(Protocol):
    """Interface of a source plug-in: a dataclass whose fields are its options, with defaults.

    :func:`flare_mesh.predict` and ``flare-mesh predict`` accept the options by name.
    """

    suffixes: ClassVar[tuple[str, ...]]
    """Suffixes of the files that the plug-in reads besides mesh files."""

    def read(self, files: "CaseFiles", reader: "CaseReader") -> "PredictionCase":
        """Read the case of a file.

        Args:
            files: A file with one of ``suffixes``, or a mesh file.
            reader: Reader of mesh files for the model.

        Raises:
            SourceError: If the case cannot be made.
            ValueError: If the file or an option cannot be used.
        """
        ...

    def from_mesh(self, name: str, mesh: "MeshData", reader: "CaseReader") -> "PredictionCase":
        """The case of a mesh in memory; ``name`` is its name in messages."""
        ...


@runtime_checkable
class CompensatingPlugin(Protocol):
    """Interface of a source plug-in that can also compensate the predicted distortion of a part."""

    def compensate(
        self, file: Path, mesh: "MeshData", reader: "CaseReader", out: str | Path
    ) -> None:
        """Write the surface that a part must be made with to come out as designed.

        Args:
            file: The part, with one of ``suffixes``.
            mesh: Its mesh, as :meth:`SourcePlugin.read` made it, with the field ``displacement``.
            reader: Reader of mesh files for the model.
            out: Surface file to write.

        Raises:
            ValueError: If the file is no part, or does not fit the mesh.
        """
        ...


def source_plugins() -> dict[str, type[SourcePlugin]]:
    """The plug-ins of all installed packages, by name."""
    return {point.name: point.load() for point in entry_points(group=GROUP)}


def find_source_plugin(name: str) -> type[SourcePlugin]:
    """Find the plug-in ``name``.

    Raises:
        ValueError: If no installed package provides it.
    """
    points = {point.name: point for point in entry_points(group=GROUP)}
    if name not in points:
        raise ValueError(
            f"expected the source plug-in '{name}', as in training (got {sorted(points)}); install "
            f"the package that provides it"
        )
    return points[name].load()


def build_source(name: str, options: Mapping[str, Any]) -> SourcePlugin | None:
    """Build the plug-in ``name`` with its options; None for mesh files, which have no options.

    Raises:
        ValueError: If the plug-in or an option does not exist.
    """
    if not name:
        if options:
            raise ValueError(
                f"{', '.join(options)}: the model was trained on mesh files, which have no such "
                f"option; leave it out"
            )
        return None
    plugin = find_source_plugin(name)
    known = [option.name for option in fields(plugin)]  # pyright: ignore[reportArgumentType]
    check_options(f"the source plug-in '{name}'", options, known)
    return plugin(**options)
