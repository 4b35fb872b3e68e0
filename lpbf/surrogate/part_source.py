"""Source plug-in for models of laser powder bed fusion."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from lpbf.core.part import PART_SUFFIXES
from lpbf.core.result_files import RESULT_SUFFIXES
from lpbf.core.voxelize import BUILD_VOLUME

if TYPE_CHECKING:  # the command line reads the options without the modules of networks
    from flare_mesh.cases.case_files import CaseFiles
    from flare_mesh.cases.case_reader import CaseReader, PredictionCase
    from flare_mesh.mesh import MeshData


@dataclass(frozen=True)
class PartSource:
    """Voxelised CAD parts and hexahedral meshes, moved to the middle of the base plate.

    Args:
        pitch: Voxel edge of a part in mm; by default that of the training data.
        simulate: Also simulate a part, with the process of the training data.
        layer_height: Height of the simulated layers in mm, with ``simulate``; by default that of
            the training data. Another one is a :class:`lpbf.PartWarning`.
        islands: "drop" unsupported voxels, "refuse" the part, or support them by "powder"; by
            default "powder" if the training data had it, else "drop".
        build_volume: Largest extents of a part, mm.
        unit: Unit of the files of parts that have none of their own (STL, PLY, OBJ, OFF): "mm",
            "cm", "m", "um", "inch" or "foot"; by default mm.
        place: "drop" a part to the plate, or "orient" it first so that it stands with the least
            support; by default "drop". The training data have no parts above the plate.
    """

    pitch: float | None = None
    simulate: bool = False
    layer_height: float | None = None
    islands: Literal["drop", "refuse", "powder"] | None = None
    build_volume: tuple[float, float, float] = BUILD_VOLUME
    unit: Literal["mm", "cm", "m", "um", "inch", "foot"] | None = None
    place: Literal["drop", "orient"] | None = None

    suffixes: ClassVar[tuple[str, ...]] = PART_SUFFIXES

    def read(self, files: "CaseFiles", reader: "CaseReader") -> "PredictionCase":
        """Read the case of a CAD part, or of a mesh file with hexahedra.

        Raises:
            FileNotFoundError: If the file does not exist.
            SourceError: If the simulation does not converge.
            ValueError: If the file cannot be used, or the pitch is unknown.
        """
        from flare_mesh.io import read_mesh
        from lpbf.surrogate.part_case import hexahedral_case, part_case

        if files.file.suffix.lower() in PART_SUFFIXES:
            return part_case(
                files.file,
                reader,
                pitch=self.pitch,
                simulate=self.simulate,
                layer_height=self.layer_height,
                islands=self.islands,
                build_volume=self.build_volume,
                unit=self.unit,
                place=self.place or "drop",
            )
        given = {name: getattr(self, name) for name in ("pitch", "layer_height", "unit", "place")}
        if self.simulate or any(value is not None for value in given.values()):
            raise ValueError(
                f"{files.file}: pitch, simulate, layer_height, unit and place apply only to a part "
                f"({', '.join(PART_SUFFIXES)}); leave them out"
            )
        case = reader.read(files)
        is_mesh = files.file.suffix.lower() in RESULT_SUFFIXES
        if is_mesh and "is_support" in read_mesh(files.file).cell_fields:
            raise ValueError(
                f"{files.file}: expected a part alone (got one with its supports); save it by "
                f"Result.save(path, supports=False)"
            )
        return hexahedral_case(case)

    def compensate(
        self, file: Path, mesh: "MeshData", reader: "CaseReader", out: str | Path
    ) -> None:
        """Write the surface that the displacement of a part's voxels moves to the part.

        Args:
            file: The part.
            mesh: Its voxels with the field ``displacement``, mm.
            reader: Reader of the model.
            out: Surface file to write, in the coordinates of ``file``.

        Raises:
            ValueError: If the file is no part, or has other voxels.
        """
        from flare_mesh.files import atomic_path
        from lpbf.compensate import compensate

        pitch = reader.recipe.info.get("pitch") if self.pitch is None else self.pitch
        if file.suffix.lower() not in PART_SUFFIXES or pitch is None:
            raise ValueError(
                f"{file}: expected a part ({', '.join(PART_SUFFIXES)}) and a known pitch of its "
                f"voxels (got the pitch {pitch})"
            )
        found = compensate(
            file,
            displacement=mesh,
            pitch=pitch,
            build_volume=self.build_volume,
            unit=self.unit,
            place=self.place or "drop",
        )
        with atomic_path(out) as temporary:
            found.surface.export(temporary)

    def from_mesh(self, name: str, mesh: "MeshData", reader: "CaseReader") -> "PredictionCase":
        """The case of a hexahedral mesh in memory."""
        from lpbf.surrogate.part_case import hexahedral_case

        return hexahedral_case(reader.from_mesh(name, mesh))
