"""The fields of a mesh as a viewer offers them: truth, prediction and error of one name."""

from dataclasses import dataclass, replace
from typing import Any

from flare_mesh.cases.prediction_mark import (
    PREDICTION_MARK,
    band_name,
    error_name,
    predicted_field,
    predicted_name,
)
from flare_mesh.visualize.field_values import FieldValues, component_names, field_names, find_field

TRUTH, PREDICTION, ERROR, BAND = "truth", "prediction", "error", "band"
KINDS = (TRUTH, PREDICTION, ERROR, BAND)
"""What can be shown of a field; one without a prediction has its values alone, as the truth."""

NORM = "norm"
"""Choice of the norm of a vector instead of one of its components."""


@dataclass(frozen=True)
class ViewField:
    """A field of a mesh.

    Attributes:
        name: Name of the field, without ``predicted_``.
        kinds: Those of :data:`KINDS` that the mesh has.
        components: Names of the components, with :data:`NORM` before those of a vector; empty for
            a scalar.
        is_vector: Whether the field can deform the mesh.
    """

    name: str
    kinds: tuple[str, ...]
    components: tuple[str, ...]
    is_vector: bool


def list_fields(grid: Any) -> list[ViewField]:
    """The fields of a grid, in the order of the file.

    Fields that ``flare-mesh predict`` adds to a field are kinds of it: ``predicted_u`` and
    ``u_band``; ``error_u`` is computed from the others.
    """
    names = [name for name in field_names(grid) if name != PREDICTION_MARK]
    predicted = [found for name in names if (found := predicted_field(name))]
    added = {f(name) for name in predicted for f in (predicted_name, error_name, band_name)}
    plain = [name for name in names if name not in added and name not in predicted]
    found = []
    for name in [*predicted, *plain]:
        kinds = [TRUTH] if name in names else []
        if name in predicted:
            kinds.append(PREDICTION)
            if name in names:
                kinds.append(ERROR)
            if band_name(name) in names:
                kinds.append(BAND)
        values = values_of(grid, name, kinds[0])
        components = component_names(values.channels) if values.channels > 1 else ()
        if 1 < values.channels <= 3:
            components = (NORM, *components)
        is_vector = values.channels in (2, 3)
        found.append(ViewField(name, tuple(kinds), components, is_vector))
    return found


def values_of(grid: Any, name: str, kind: str) -> FieldValues:
    """The truth, prediction, error or band of a field.

    The error is the prediction minus the truth.

    Raises:
        ValueError: If the grid has no such field, or its truth is not where the prediction is.
    """
    if kind == TRUTH:
        return find_field(grid, name)
    if kind == BAND:
        return replace(find_field(grid, band_name(name)), name=f"half-width of the band of {name}")
    predicted = replace(find_field(grid, predicted_name(name)), name=f"predicted {name}")
    if kind == PREDICTION:
        return predicted
    truth = find_field(grid, name)
    if (truth.on_cells, truth.channels) != (predicted.on_cells, predicted.channels):
        raise ValueError(
            f"'{name}': expected a truth with the nodes or cells and the components of its "
            f"prediction (got {truth.channels} {'cell' if truth.on_cells else 'node'} components, "
            f"and {predicted.channels} {'cell' if predicted.on_cells else 'node'} components)"
        )
    return replace(predicted, name=f"error of {name}", values=predicted.values - truth.values)
