"""Spectra and attention maps of FLARE's mixing matrices."""

from flare_mesh.analysis.operator import operator_maps, operator_spectra
from flare_mesh.analysis.spectrum import (
    AttentionMaps,
    attention_maps,
    effective_rank,
    mixing_spectrum,
)

__all__ = [
    "AttentionMaps",
    "attention_maps",
    "effective_rank",
    "mixing_spectrum",
    "operator_maps",
    "operator_spectra",
]
