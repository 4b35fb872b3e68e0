"""Parameters of the build."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lpbf.material import Material, get_material


@dataclass(frozen=True)
class Process:
    """How a part is built: material, layers and the strain that each layer brings along.

    The inherent strain is what a freshly melted layer would keep if it could shrink freely
    (thermal contraction less what plastic flow took up). The default is a plausible value for an
    elastic model of Ti-6Al-4V, not a calibration: identify it on a printed cantilever.

    Args:
        material: A name of :data:`lpbf.MATERIALS` or a :class:`Material`.
        layer_height: Height of a simulated layer in mm, a multiple of the voxel height; None
            takes one row of voxels. It lumps many powder layers.
        inherent_strain: (exx, eyy, ezz), without unit.
        scan_rotation: Degrees by which the in-plane axes of the inherent strain turn about z from
            one layer to the next.
        temperature: Uniform temperature of the finished part, degrees Celsius; the model is
            isothermal.

    Raises:
        ValueError: If a value is not finite, or a strain is too large for small-strain theory.
    """

    material: str | Material = "Ti-6Al-4V"
    layer_height: float | None = None
    inherent_strain: tuple[float, float, float] = (-0.004, -0.004, -0.004)
    scan_rotation: float = 0.0
    temperature: float = 25.0

    def __post_init__(self) -> None:
        get_material(self.material)
        if self.layer_height is not None and not (
            np.isfinite(self.layer_height) and self.layer_height > 0
        ):
            raise ValueError(f"Process: expected layer_height > 0 mm (got {self.layer_height})")
        strain = np.asarray(self.inherent_strain, dtype=np.float64)
        if strain.shape != (3,) or not (np.abs(strain) <= 0.1).all():
            raise ValueError(
                f"Process: expected inherent_strain as (exx, eyy, ezz), each within 0.1 of zero "
                f"(got {self.inherent_strain})"
            )
        for name in ("scan_rotation", "temperature"):
            if not np.isfinite(getattr(self, name)):
                raise ValueError(f"Process: expected a finite {name} (got {getattr(self, name)})")

    def layer_strain(self, layer: int) -> NDArray[np.float64]:
        """Inherent strain of a layer, [6], in the order xx, yy, zz, xy, yz, xz."""
        exx, eyy, ezz = self.inherent_strain
        angle = np.deg2rad(self.scan_rotation * layer)
        c, s = np.cos(angle), np.sin(angle)
        in_plane = [c * c * exx + s * s * eyy, s * s * exx + c * c * eyy]
        return np.array([*in_plane, ezz, 2 * c * s * (exx - eyy), 0.0, 0.0])

    def voxels_per_layer(self, voxel_height: float) -> int:
        """Rows of voxels in a layer.

        Raises:
            ValueError: If the layer height is not a multiple of ``voxel_height``.
        """
        if self.layer_height is None:
            return 1
        count = round(self.layer_height / voxel_height)
        if count < 1 or abs(count * voxel_height - self.layer_height) > 1e-6 * self.layer_height:
            raise ValueError(
                f"Process: layer_height = {self.layer_height} mm is not a multiple of the voxel "
                f"height of {voxel_height} mm; change the pitch or the layer height"
            )
        return count
