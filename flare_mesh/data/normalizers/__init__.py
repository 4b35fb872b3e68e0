"""Statistics of the training split, saved with the model."""

from flare_mesh.data.normalizers.unit_gaussian import UnitGaussianNormalizer

__all__ = ["UnitGaussianNormalizer"]
