"""Trained surrogates from a run's folder or checkpoint."""

import json
from pathlib import Path

from torch import Tensor

from flare_mesh.models.stored_weights import check_finite_weights
from flare_mesh.surrogate.checkpoint import BEST, LAST, read_checkpoint
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.surrogate.surrogate_file import FILE, loading
from flare_mesh.trusted_classes import trusting_code

_OF_SEQUENCES = (
    "{}: expected a surrogate, which predicts fields (got a classifier of sequences); its model is "
    "loaded by flare_mesh.models.load('{}')"
)


def load_surrogate(path: str | Path, *, ema: bool = False, trust_code: bool = False) -> Surrogate:
    """Load a trained surrogate; no code in the files is run.

    Args:
        path: Folder of a run, any folder with a ``surrogate.safetensors``, that file, or a
            checkpoint ``.ckpt`` of a run.
        ema: Load the averaged weights of a run that was trained with ``model.ema``, which are in
            its folder ``ema``.
        trust_code: Whether the file may name a class outside this package, by its import path;
            the class is then imported, which runs the code of its module.

    Raises:
        FileNotFoundError: If there is no surrogate.
        ValueError: If the file is damaged, is not a surrogate, has no averaged weights, or names
            a class that is not trusted or not a model.
    """
    path = Path(path)
    if path.suffix == ".ckpt":
        with trusting_code(trust_code):
            return _from_checkpoint(path, ema)
    folder = path.parent if path.name == FILE else path
    if ema:
        if not (folder / "ema" / FILE).is_file():
            raise FileNotFoundError(
                f"{folder}: no averaged weights; train with model.ema set, for example to 0.999"
            )
        folder = folder / "ema"
    if folder.is_file():
        raise ValueError(
            f"{folder}: expected a run's folder or checkpoint, or a folder with {FILE}"
        )
    if not (folder / FILE).is_file():
        if (folder / "model" / "config.json").is_file():
            raise ValueError(_OF_SEQUENCES.format(folder, folder / "model"))
        found = [folder / name for name in (BEST, LAST) if (folder / name).is_file()]
        if found:
            raise FileNotFoundError(
                f"{folder}: no {FILE}, since the run has not ended; give its checkpoint, {found[0]}"
            )
    return Surrogate.load(folder, trust_code=trust_code)


def _from_checkpoint(path: Path, ema: bool) -> Surrogate:
    found = read_checkpoint(path)
    if "sequence_model" in found.get("flare_mesh", ()):
        raise ValueError(_OF_SEQUENCES.format(path, "RUN/model"))
    with loading(path) as header:
        header.update(json.loads(found["flare_mesh"]["surrogate"]))
        weights = found["state_dict"]
        state = _rename(weights, "surrogate.", "")
        averaged = _rename(weights, "ema.module.", "model.")
        state |= averaged if ema else {}
        surrogate = Surrogate.from_weights(header, state)
        check_finite_weights(state)
    if ema and not averaged:
        raise ValueError(f"{path}: no averaged weights; train with model.ema set")
    return surrogate


def _rename(weights: dict[str, Tensor], prefix: str, new: str) -> dict[str, Tensor]:
    """The weights whose names begin with ``prefix``, which ``new`` replaces."""
    found = ((key, value) for key, value in weights.items() if key.startswith(prefix))
    return {new + key.removeprefix(prefix): value for key, value in found}
