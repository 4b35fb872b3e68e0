from .calibration import Calibration as Calibration
from .conformal_quantile import conformal_quantile as conformal_quantile
from .field_band import FieldBand as FieldBand
from .latent_moments import LatentMoments as LatentMoments
from .unlikeness import Unlikeness as Unlikeness
