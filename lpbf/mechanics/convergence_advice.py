"""What to do about an equilibrium that does not converge."""

import numpy as np

from lpbf.mechanics.build import POWDER, Build


def convergence_advice(build: Build) -> str:
    """What to change, by the reason that the voxels of a build suggest."""
    from scipy import ndimage  # which simulations that converge do not need

    solid = np.zeros_like(build.mesh.mask)
    is_powder = build.cell_kind == POWDER
    solid[tuple(build.mesh.cell_index[~is_powder].T)] = True
    _, bodies = ndimage.label(solid)  # pyright: ignore[reportGeneralTypeIssues]
    _, parts = ndimage.label(solid, np.ones((3, 3, 3)))  # pyright: ignore[reportGeneralTypeIssues]
    if bodies > parts:
        return (
            f"{bodies:,} bodies of voxels touch each other only at edges or corners, where they "
            f"rotate freely{' in the powder' if is_powder.any() else ''}; use a finer pitch, so "
            f"that the voxels of a strut share faces"
        )
    if parts > 1 and is_powder.any():
        return (
            f"{parts:,} parts are loose in the powder until they are joined; drop the unsupported "
            f"voxels (--islands drop) or support them (--supports auto)"
        )
    return "check the material, or use a larger tolerance"
