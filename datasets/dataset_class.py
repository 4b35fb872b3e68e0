"""Data sets of a class of any package, with the splits and options of its constructor."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flare_mesh import choices
from flare_mesh.data.splits import split_names
from flare_mesh.datasets.field_dataset import FieldDataset
from flare_mesh.datasets.wrapped_dataset import wrap_dataset

_FIELDS = ("targets", "inputs", "units", "fractions")
# Set here, or functions, which a configuration cannot give.
_HIDDEN = {"root", "split", "train", "transform", "pre_transform", "pre_filter", "self"}


def check_class_options(path: str, found: type, options: Mapping[str, Any]) -> None:
    """Check the names of options of a data set's class, and of the fields in its cases.

    Args:
        path: Name of the class in messages.
        found: The class.
        options: Options by name.

    Raises:
        ValueError: If one is unknown.
    """
    parameters = inspect.signature(found).parameters
    if not any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        known = {name for name, one in parameters.items() if one.kind is not one.VAR_POSITIONAL}
        own = ("fractions",) if issubclass(found, FieldDataset) else _FIELDS
        choices.check_options(f"the data set '{path}'", options, (known - _HIDDEN) | {*own})


def open_class(
    path: str, found: Any, root: str | Path, split: str | None, options: Mapping[str, Any]
) -> FieldDataset:
    """Open a split of a data set by its class.

    The constructor gets ``root`` and ``split`` if it has such parameters, and ``train``, as PyG's
    data sets have it, for the splits ``train`` and ``test``. If it has neither ``split`` nor
    ``train``, its cases are divided by ``fractions``. ``targets``, ``inputs`` and ``units`` name
    the fields, unless the constructor has parameters of these names.

    Args:
        path: Name of the class in messages.
        found: The class.
        root: Folder of the data set.
        split: Name of the split; None for all cases.
        options: Options of the constructor, and of :class:`WrappedDataset`.

    Raises:
        OSError: If the constructor raises it.
        ValueError: If an option or split does not fit, or the constructor raises another error.
    """
    parameters = inspect.signature(found).parameters
    own = ("fractions",) if issubclass(found, FieldDataset) else _FIELDS
    fields = {k: v for k, v in options.items() if k in own and k not in parameters}
    given = {name: value for name, value in options.items() if name not in fields}
    divided = {"split": split}
    if "root" in parameters:
        given["root"] = str(root)
    if "split" in parameters:
        divided = {}
        given |= {} if split is None else {"split": split}
    elif "train" in parameters and split is not None:
        choices.check_choice(f"the data set '{path}': unknown split", split, ("train", "test"))
        divided = {}
        given["train"] = split == "train"
    if not divided and "fractions" in fields:
        raise ValueError(f"the data set '{path}' has splits of its own; leave out 'fractions'")
    missing = [
        name
        for name, one in parameters.items()
        if one.default is one.empty
        and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)
        and name not in given
    ]
    if missing:
        raise ValueError(f"the data set '{path}' needs the option '{missing[0]}' in data.options")
    try:
        dataset = found(**given)
    except OSError:
        raise
    except Exception as error:  # the code of other packages may raise anything
        reason = f"{type(error).__name__}: {choices.clip(error)}"
        raise ValueError(f"the data set '{path}' with {given}: {reason}") from error
    if isinstance(dataset, FieldDataset):
        return _divided(dataset, fractions=fields.get("fractions"), **divided)
    return wrap_dataset(dataset, name=path, **divided, **fields)


def _divided(
    dataset: FieldDataset,
    *,
    fractions: Mapping[str, float] | None,
    split: str | None = None,
) -> FieldDataset:
    """The cases of a split, by a checksum of their names; all cases without a split."""
    if split is None:
        return dataset
    names = [str(dataset.cases[i]) for i in dataset.indices()]
    chosen = set(split_names(names, split, fractions))
    if not chosen:
        raise ValueError(f"{type(dataset).__name__}: the split '{split}' has no case")
    return dataset.index_select([i for i, name in enumerate(names) if name in chosen])  # pyright: ignore[reportReturnType]
