"""Remarks about the values of a picture."""

import numpy as np

from flare_mesh.visualize.colours import Colours
from flare_mesh.visualize.field_values import FieldValues


def value_remarks(values: FieldValues, colours: Colours) -> list[str]:
    """Lines of the caption about a constant field and about missing values."""
    lines = []
    finite = values.values[np.isfinite(values.values)]
    if colours.constant and finite.size:
        lines.append(f"{values.label}: {finite[0]:.6g} everywhere")
    missing, places = values.num_missing, "cells" if values.on_cells else "nodes"
    if missing:
        lines.append(f"no value at {missing:,} of {len(values.values):,} {places} (pink)")
    return lines
