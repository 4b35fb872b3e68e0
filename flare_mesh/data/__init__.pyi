from .normalizers import FieldStatistics as FieldStatistics
from .normalizers import FixedNormalizer as FixedNormalizer
from .normalizers import IdentityNormalizer as IdentityNormalizer
from .normalizers import Normalizer as Normalizer
from .normalizers import UnitCubeNormalizer as UnitCubeNormalizer
from .normalizers import UnitGaussianNormalizer as UnitGaussianNormalizer
from .normalizers import build_normalizer as build_normalizer
