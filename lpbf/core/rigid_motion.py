"""Rotation and translation from the coordinates of a part's file to those of its mesh."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class RigidMotion:
    """Map of a point p of the part's file, in mm, to ``rotation @ p + translation``.

    Attributes:
        rotation: Rotation matrix, [3, 3].
        translation: Translation after the rotation, [3], mm.
    """

    rotation: NDArray[np.float64]
    translation: NDArray[np.float64]

    def apply(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points of the file, [P, 3] in mm, in the coordinates of the mesh."""
        return points @ self.rotation.T + self.translation

    def undo(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points of the mesh, [P, 3] in mm, in the coordinates of the file."""
        return (points - self.translation) @ self.rotation

    def rotate_back(self, vectors: NDArray[np.float64]) -> NDArray[np.float64]:
        """Vectors of the mesh, [P, 3], such as displacements, in the coordinates of the file."""
        return vectors @ self.rotation

    @property
    def is_rotated(self) -> bool:
        """Whether the part is not in the orientation of its file."""
        return not np.array_equal(self.rotation, np.eye(3))

    def to_dict(self) -> dict[str, Any]:
        """Both arrays as JSON holds them."""
        return {
            "rotation": self.rotation.tolist(),
            "translation_mm": self.translation.tolist(),
        }

    def __str__(self) -> str:
        x, y, z = self.translation.tolist()
        text = f"moved by ({x:.5g}, {y:.5g}, {z:.5g}) mm"
        if not self.is_rotated:
            return text
        rows = ", ".join(f"({a:.4g}, {b:.4g}, {c:.4g})" for a, b, c in self.rotation.tolist())
        return f"rotated by the matrix of the rows {rows}, then {text}"
