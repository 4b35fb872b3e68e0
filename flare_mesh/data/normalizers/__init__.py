"""Normalisers, which are fitted on the training split and saved with the model."""

from flare_mesh.data.normalizers.fixed import FixedNormalizer
from flare_mesh.data.normalizers.identity import IdentityNormalizer
from flare_mesh.data.normalizers.log import LogNormalizer
from flare_mesh.data.normalizers.normalizer import Normalizer
from flare_mesh.data.normalizers.resolver import build_normalizer
from flare_mesh.data.normalizers.signed_root import SignedRootNormalizer
from flare_mesh.data.normalizers.statistics import FieldStatistics
from flare_mesh.data.normalizers.unit_cube import UnitCubeNormalizer
from flare_mesh.data.normalizers.unit_gaussian import UnitGaussianNormalizer

__all__ = [
    "FieldStatistics",
    "FixedNormalizer",
    "IdentityNormalizer",
    "LogNormalizer",
    "Normalizer",
    "SignedRootNormalizer",
    "UnitCubeNormalizer",
    "UnitGaussianNormalizer",
    "build_normalizer",
]
