"""Parameters of a build."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from flare_mesh.choices import check_choice, clip
from lpbf.core.base_plate import BasePlate
from lpbf.core.cut import Cut
from lpbf.core.from_dict import from_dict
from lpbf.core.heat import Heat
from lpbf.core.islands import ISLANDS
from lpbf.core.layer_strain import mean_strain
from lpbf.core.layers import rows_per_layer, voxel_size
from lpbf.core.machine import Machine
from lpbf.core.material import Material
from lpbf.core.presets import PRESETS
from lpbf.core.process_checks import check_process
from lpbf.core.process_readers import PROCESS_READERS
from lpbf.core.scan import Scan, get_scan
from lpbf.core.strain_source import StrainSource
from lpbf.core.supports import Supports
from lpbf.core.yaml_file import read_yaml, write_yaml


@dataclass(frozen=True)
class Process:
    """Material, layers and strain of a build.

    The inherent strain is the strain of a new layer that could shrink freely: its thermal
    contraction minus the plastic flow. The default is plausible for an elastic model of Ti-6Al-4V,
    not calibrated: identify it on a printed cantilever.

    Args:
        material: A name of :data:`lpbf.MATERIALS` or a :class:`Material`.
        layer_height: Height of a simulated layer, which lumps many powder layers, in mm: a multiple
            of the voxel height. None takes 0.4 mm, or the nearest multiple of the voxel height:
            see :meth:`voxel_size`.
        inherent_strain: (exx, eyy, ezz) of a layer at angle 0, without unit: along the scan
            vectors, across them, and in the build direction.
        scan_rotation: Rotation of the scan vectors about z from one powder layer to the next,
            degrees.
        scan_angle: Angle from x to the scan vectors in the first layer, degrees.
        temperature: Ambient temperature, degrees Celsius. Without ``heat`` it is the temperature of
            the part; with thermal strain the finished part cools to it.
        plasticity: Whether the material yields; otherwise it is elastic.
        plastic_increments: Equal increments in which the strain of a layer is applied if the
            material yields. With large plastic zones the error of the displacement after the
            release is 2 to 7 % with one increment, 1 to 2 % with four; the error of stresses at
            single nodes is about twice as large. With ``strain="thermal"``, mechanical steps in a
            dwell, each after the same number of time steps of the heat.
        release: Whether the part is cut from the plate at the end; or its cuts in order, for
            instance ``[{"box": [[x0, y0, z0], [x1, y1, z1]]}, {"below": 0.0}]``, in mm in the
            mesh's coordinates. Each is a :class:`lpbf.BoxCut` or a :class:`lpbf.PlaneCut`, after
            which the part has a new equilibrium.
        islands: Treatment of voxels that nothing supports when their layer is built: ``"drop"``
            them with a warning, ``"refuse"`` the part, or support them by ``"powder"`` of
            negligible stiffness.
        base_plate: An elastic plate; None clamps the part's bottom.
        heat: Heat conduction; None for a constant temperature.
        incompatible_modes: Whether the bricks have incompatible modes, which prevent locking in
            bending; False is for comparison.
        powder_layers: Powder layers in a simulated layer; its strain is the mean over their
            rotations.
        strain_source: The measurement from which ``inherent_strain`` was identified, as
            :func:`lpbf.calibrate` writes it; None for a strain that is not calibrated.
        supports: Supports under overhangs and islands, True for the default :class:`Supports`; None
            or False for none. If they are generated, ``islands`` has no effect.
        machine: Scanning and recoating, for the estimated build time: a :class:`Machine` or a name
            of :data:`lpbf.MACHINES`; None for no estimate. The simulation does not depend on it.
        strain: ``"inherent"``: a layer is strained by ``inherent_strain``. ``"thermal"``: the
            thermo-mechanical model, in which all cells contract and expand with the temperatures of
            the heat conduction, with Young's modulus, yield stress and hardening at the temperature
            of each cell; ``inherent_strain``, its scan vectors and ``powder_layers`` have no
            effect. It needs ``heat``.

    Raises:
        ValueError: If a value is outside its range, a strain is too large for small-strain theory,
            or the material lacks a property that the process needs.
    """

    material: str | Material = "Ti-6Al-4V"
    layer_height: float | None = None
    inherent_strain: tuple[float, float, float] = (-0.004, -0.004, -0.004)
    scan_rotation: float = 0.0
    scan_angle: float = 0.0
    temperature: float = 25.0
    plasticity: bool = False
    plastic_increments: int = 4
    release: bool | Sequence[Cut | Mapping[str, Any]] = False
    islands: str = "refuse"
    base_plate: BasePlate | None = None
    heat: Heat | None = None
    incompatible_modes: bool = True
    powder_layers: int = 1
    strain_source: StrainSource | None = None
    supports: Supports | bool | None = None
    machine: Machine | str | None = None
    strain: str = "inherent"

    def __post_init__(self) -> None:
        check_process(self)

    @property
    def generates_supports(self) -> bool:
        """Whether islands and overhangs get supports."""
        return isinstance(self.supports, Supports) and self.supports.generate

    def choose_islands(self, islands: str | None = None) -> str:
        """Return the treatment of unsupported voxels by a command that does not refuse them.

        It is the given one; by default powder if the process has it, else drop. Islands for which
        supports are generated are left in the part, as with powder.

        Raises:
            ValueError: If it is unknown, or has no effect.
        """
        if islands is None:
            is_left = self.generates_supports or self.islands == "powder"
            return "powder" if is_left else "drop"
        check_choice("unknown islands", islands, ISLANDS)
        if self.generates_supports:
            raise ValueError(
                f"expected islands or generated supports (got islands = '{islands}' and supports, "
                f"which leave no islands); leave one of them out"
            )
        return islands

    def layer_strain(self, layer: int) -> NDArray[np.float64]:
        """Inherent strain of a simulated layer [6] in the order xx, yy, zz, xy, yz, xz."""
        powder_layers = self.powder_layers * layer + np.arange(self.powder_layers)
        angles = np.deg2rad(self.scan_angle + self.scan_rotation * powder_layers)
        return mean_strain(self.inherent_strain, angles)

    def voxels_per_layer(self, voxel_height: float) -> int:
        """Rows of voxels in a layer; see :func:`lpbf.core.layers.rows_per_layer`.

        Raises:
            ValueError: If the layer height is not a multiple of ``voxel_height``.
        """
        return rows_per_layer(self.layer_height, voxel_height)

    def voxel_size(self, pitch: float | tuple[float, float, float]) -> tuple[float, float, float]:
        """Edges of voxels for :func:`lpbf.voxelize` whose rows make up the layers, mm.

        See :func:`lpbf.core.layers.voxel_size`.

        Raises:
            ValueError: If an edge is not positive.
        """
        return voxel_size(pitch, self.layer_height)

    def with_scan(self, scan: str | float | Scan) -> "Process":
        """Return this process with another scan strategy.

        Args:
            scan: A name of :data:`lpbf.SCANS`, a rotation in degrees per powder layer, or a
                :class:`lpbf.Scan`.

        Raises:
            ValueError: If the strategy is unknown, or the inherent strain is the same along and
                across the scan vectors, so that the strategy has no effect.
        """
        strategy = get_scan(scan)
        if self.strain == "thermal":
            raise ValueError(
                f"Process: expected strain='inherent' with a scan strategy (got scan={scan!r} and "
                f"strain='thermal', on which it has no effect); leave out one of them"
            )
        along, across, _ = self.inherent_strain
        if along == across:
            raise ValueError(
                f"Process: expected an inherent_strain that differs along and across the scan "
                f"vectors (got {self.inherent_strain}), or scan={scan!r} has no effect; give both, "
                f"or start from a preset"
            )
        strain = strategy.strain(self.inherent_strain)
        return replace(
            self,
            inherent_strain=strain,
            strain_source=self.strain_source if strain == self.inherent_strain else None,
            scan_rotation=strategy.rotation,
            scan_angle=strategy.angle,
        )

    @classmethod
    def preset(
        cls, name: str, *, scan: str | float | Scan | None = None, **changes: Any
    ) -> "Process":
        """Make a process of :data:`lpbf.PRESETS` with changes.

        Its scan strategy is stripes that are rotated by 67 degrees per powder layer.

        Args:
            name: Name of a material.
            scan: Another scan strategy, as in :meth:`with_scan`.
            changes: Other fields of the process.

        Raises:
            ValueError: If the name or strategy is unknown, or a value does not fit.
        """
        check_choice("unknown preset", name, list(PRESETS))
        process = replace(cls(**PRESETS[name]).with_scan("stripes"), **changes)
        return process if scan is None else process.with_scan(scan)

    def to_dict(self) -> dict[str, Any]:
        """All parameters as JSON holds them."""
        return json.loads(json.dumps(asdict(self)))

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Process":
        """Make a process from values of :meth:`to_dict`; missing ones take their defaults.

        Raises:
            ValueError: If a key is unknown or a value does not fit.
        """
        return from_dict(cls, values, PROCESS_READERS)

    def to_yaml(self, path: str | Path) -> None:
        """Write all parameters to a YAML file, whole or not at all."""
        write_yaml(path, self.to_dict())

    @classmethod
    def from_yaml(cls, path: str | Path) -> "Process":
        """Read parameters from a YAML file; missing ones take their defaults.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it is not YAML of plain values, a key is unknown or a value does not fit.
        """
        values = read_yaml(path)
        try:
            return cls.from_dict(values)
        except ValueError as error:
            raise ValueError(f"{path}: {clip(error)}") from error
