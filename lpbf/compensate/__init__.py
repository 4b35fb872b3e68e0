"""Pre-deformed surfaces, whose distorted prints have the designed shape."""

from lpbf.compensate.compensate import compensate
from lpbf.compensate.compensate_once import compensate_once
from lpbf.compensate.compensation import Compensation, Iteration

__all__ = ["Compensation", "Iteration", "compensate", "compensate_once"]
