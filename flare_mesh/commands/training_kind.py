"""Which training a command line and its configurations ask for: of fields, or of sequences."""

from collections.abc import Mapping, Sequence
from typing import Any

from flare_mesh.choices import check_choice
from flare_mesh.commands.option_check import option_values
from flare_mesh.datasets.lra import SEQUENCE_DATASETS
from flare_mesh.datasets.registry import DATASETS
from flare_mesh.documents import load_argument, load_yaml, read_yaml_text
from flare_mesh.models import MODELS, SEQUENCE_MODELS
from flare_mesh.trusted_classes import is_class_path


def is_of_sequences(args: Sequence[str]) -> bool:
    """Whether the data set of a training is one of sequences.

    Args:
        args: Arguments of ``fit``, ``validate`` or ``test``, with paths of configurations.

    Raises:
        ValueError: If the model is one of fields and the data set one of sequences, or reverse.
    """
    data, model = (_last(args, group) for group in ("data", "model"))
    sequences = data in SEQUENCE_DATASETS
    if sequences and model in MODELS:
        raise ValueError(
            f"model.name: '{model}' is a model of fields on meshes, and the data set '{data}' has "
            f"sequences; take model.name=sequence, and choose the mixing layer by "
            f"model.options.mixer"
        )
    if not sequences and model in SEQUENCE_MODELS:
        if data is not None and data not in DATASETS and not is_class_path(data):
            check_choice("data.name: unknown data set of sequences", data, SEQUENCE_DATASETS)
        raise ValueError(
            f"model.name: '{model}' is a model of sequences, and the data set "
            f"'{data or 'mesh_folder'}' has fields on meshes; take a data set of sequences, such "
            f"as {', '.join(SEQUENCE_DATASETS)}, or one of the models {', '.join(MODELS)}"
        )
    return sequences


def _last(args: Sequence[str], group: str) -> str | None:
    """The name in ``data`` or ``model`` that is given last; what is no YAML is refused later."""
    found = None
    for option, text in option_values(args):
        values: Any = None
        try:
            if option == f"{group}.name":
                values = {"name": text}
            elif option == group:
                values = load_argument(text)
            elif option in ("c", "config"):
                values = load_yaml(read_yaml_text(text))
                values = values.get(group) if isinstance(values, Mapping) else None
        except (ValueError, OSError):
            continue
        if isinstance(values, Mapping) and isinstance(values.get("name"), str):
            found = values["name"]
    return found
