"""Plug-ins that turn an application's own files into cases.

A package registers a :class:`SourcePlugin` as an entry point of the group ``flare_mesh.sources``,
``lpbf`` for instance one that voxelises CAD parts. A data set names the plug-in in its recipe, and
prediction with a model that was trained on that data set reads files by it.
"""

from collections.abc import Mapping
from dataclasses import fields
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from flare_mesh.choices import nearest

if TYPE_CHECKING:
    from flare_mesh.cases.case_reader import CaseReader, PredictionCase
    from flare_mesh.cases.sources import MeshSource
    from flare_mesh.mesh import MeshData

GROUP = "flare_mesh.sources"
"""Group of the entry points."""


class SourceError(RuntimeError):
    """A source that cannot make a case, such as a simulation that does not converge."""


class SourcePlugin(Protocol):
    """A dataclass whose fields are the options of a source, with their defaults.

    :func:`flare_mesh.predict` and ``flare-mesh predict`` take these options by name.
    """

    suffixes: ClassVar[tuple[str, ...]]
    """Suffixes of the files that it reads beside mesh files."""

    def read(self, source: "MeshSource", reader: "CaseReader") -> "PredictionCase":
        """The case of a file.

        Args:
            source: The file, one of ``suffixes`` or a mesh file.
            reader: Reads mesh files by the recipe of the model.

        Raises:
            SourceError: If the case cannot be made.
            ValueError: If the file or an option cannot be used.
        """
        ...

    def case(self, name: str, mesh: "MeshData", reader: "CaseReader") -> "PredictionCase":
        """The case of a mesh in memory; arguments and errors as in :meth:`read`."""
        ...


def source_plugins() -> dict[str, type[SourcePlugin]]:
    """The plug-ins of all installed packages, by name."""
    return {point.name: point.load() for point in entry_points(group=GROUP)}


def find_source_plugin(name: str) -> type[SourcePlugin]:
    """The plug-in called ``name``.

    Raises:
        ValueError: If no installed package has it.
    """
    found = entry_points(group=GROUP, name=name)
    if not found:
        known = sorted(entry_points(group=GROUP).names)
        raise ValueError(
            f"the model needs the source plug-in '{name}', and the installed packages have "
            f"{known}; install the package that provides it"
        )
    return next(iter(found)).load()


def build_source(name: str, options: Mapping[str, Any]) -> SourcePlugin | None:
    """The plug-in called ``name`` with its options; None for mesh files, which take no options.

    Raises:
        ValueError: If there is no such plug-in or option.
    """
    plugin = find_source_plugin(name) if name else None
    known = [option.name for option in fields(plugin)] if plugin is not None else []  # pyright: ignore[reportArgumentType]
    for option in options:
        if plugin is None:
            raise ValueError(
                f"{option}: the model was trained on mesh files, which take no such option; leave "
                f"it out"
            )
        if option not in known:
            raise ValueError(
                f"{option}: the source '{name}' has no such option; {nearest(option, known)}"
            )
    return None if plugin is None else plugin(**options)
