"""Surfaces pre-deformed so that the printed part comes out as designed."""

from lpbf.compensate.compensate import compensate
from lpbf.compensate.compensate_once import compensate_once
from lpbf.compensate.compensation import Compensation, Iteration

__all__ = ["Compensation", "Iteration", "compensate", "compensate_once"]
