"""Registry of the data sets, for configurations and the command line."""

import inspect
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from torch.utils.data import Dataset

from flare_mesh import choices
from flare_mesh.datasets.dataset_class import check_class_options, open_class
from flare_mesh.datasets.field_dataset import FieldDataset
from flare_mesh.trusted_classes import import_class, is_class_path

DATASETS = {
    "airfoil": "Airfoil",
    "airfoil_flow": "AirfoilFlow",
    "airfrans": "AirfRANS",
    "cylinder_flow": "CylinderFlow",
    "darcy": "Darcy",
    "drivaerml": "DrivAerML",
    "elasticity": "Elasticity",
    "lpbf": "LPBF",
    "mesh_folder": "MeshFolder",
    "navier_stokes": "NavierStokes",
    "pdebench": "PDEBench",
    "pipe": "Pipe",
    "plasticity": "Plasticity",
    "point_folder": "PointFolder",
    "shapenet_car": "ShapeNetCar",
}
"""Class of each data set, by name."""


def check_options(name: str, options: dict[str, Any]) -> type[Dataset]:
    """Check the options of a data set, and return its class.

    Args:
        name: One of :data:`DATASETS`, or ``package.module:Class`` for any data set of PyG data,
            within :func:`~flare_mesh.trusted_classes.trusting_code`.
        options: Options by name.

    Raises:
        ValueError: If the data set or an option is unknown, a single name is given where a list
            of names is expected, or a class is not trusted.
    """
    if is_class_path(name):
        other = import_class(name, Dataset)
        check_class_options(name, other, options)
        return other
    choices.check_choice("unknown data set", name, DATASETS)
    found: type[FieldDataset] = getattr(import_module("flare_mesh.datasets"), DATASETS[name])
    parameters = inspect.signature(found).parameters
    known = parameters.keys() - {"root", "split", "transform"}
    choices.check_options(f"the data set '{name}'", options, known)
    for option, value in options.items():
        names = (Sequence[str], Sequence[str] | None)
        if isinstance(value, str) and parameters[option].annotation in names:
            raise ValueError(
                f"the data set '{name}', {option}: expected a list of names (got '{value}'); write "
                f"[{value}]"
            )
    return found


def build(name: str, root: str | Path, split: str | None, **options: Any) -> FieldDataset:
    """Open a split of the data set ``name``, see :func:`check_options`.

    Raises:
        FileNotFoundError: If its files are missing.
        ValueError: If the data set or an option is unknown, or the value of an option is invalid.
    """
    found = check_options(name, options)
    if is_class_path(name):
        return open_class(name, found, root, split, options)
    for option, parameter in inspect.signature(found).parameters.items():
        required = parameter.kind is parameter.KEYWORD_ONLY and parameter.default is parameter.empty
        if required and option not in options:
            raise ValueError(f"the data set '{name}' needs the option '{option}'")
    try:
        make: Any = found
        return make(root, split, **options)
    except TypeError as error:
        raise ValueError(f"the data set '{name}' with {options}: {error}") from error
