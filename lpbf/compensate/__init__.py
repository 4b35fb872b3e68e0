"""Pre-deformation of surfaces, which compensates the distortion of the printed part."""

from lpbf.compensate.compensate import compensate
from lpbf.compensate.compensate_once import compensate_once
from lpbf.compensate.compensation import Compensation, Iteration

__all__ = ["Compensation", "Iteration", "compensate", "compensate_once"]
