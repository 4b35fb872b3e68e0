"""Surrogates from all that a run leaves behind."""

import json
from pathlib import Path

from flare_mesh.surrogate.checkpoint import read_checkpoint
from flare_mesh.surrogate.surrogate import FILE, Surrogate, describe_load_error

_CHECKPOINTS = ("checkpoints/best.ckpt", "checkpoints/last.ckpt")


def load_surrogate(path: str | Path, *, ema: bool = False) -> Surrogate:
    """Reads a trained surrogate; no code is run from the files.

    Args:
        path: Folder of a run, or any with a ``surrogate.safetensors``; that file; or a checkpoint
            of a run, ``.ckpt``.
        ema: Takes the averaged weights of a run that was trained with ``model.ema``, which its
            folder keeps in ``ema``.

    Raises:
        FileNotFoundError: If there is no surrogate.
        ValueError: If the file is damaged, or not a surrogate; or has no averaged weights.
    """
    path = Path(path)
    if path.suffix == ".ckpt":
        return _of_checkpoint(path, ema)
    folder = path.parent if path.name == FILE else path
    if ema:
        if not (folder / "ema" / FILE).is_file():
            raise FileNotFoundError(
                f"{folder}: no averaged weights there; train with model.ema set, such as 0.999"
            )
        folder = folder / "ema"
    if folder.is_file():
        raise ValueError(
            f"{folder}: expected a run's folder or checkpoint, or a folder with {FILE}"
        )
    if not (folder / FILE).is_file():
        found = [folder / name for name in _CHECKPOINTS if (folder / name).is_file()]
        if found:
            raise FileNotFoundError(
                f"{folder}: no trained surrogate there (no {FILE}): the run has not ended; take "
                f"its checkpoint, {found[0]}"
            )
    return Surrogate.load(folder)


def _of_checkpoint(path: Path, ema: bool) -> Surrogate:
    found, header = read_checkpoint(path), None
    try:
        header = json.loads(found["flare_mesh"]["surrogate"])
        surrogate = Surrogate.from_header(header)
        state = {
            key.removeprefix("surrogate."): value
            for key, value in found["state_dict"].items()
            if key.startswith("surrogate.")
        }
        averaged = {
            key.replace("ema.module.", "model.", 1): value
            for key, value in found["state_dict"].items()
            if key.startswith("ema.module.")
        }
        if not ema or averaged:
            surrogate.load_state_dict({**state, **(averaged if ema else {})})
    # Whatever a file that is not ours makes of a model.
    except Exception as error:
        reason = describe_load_error(error, header)
        raise ValueError(f"{path}: cannot be loaded as a surrogate: {reason}") from error
    if ema and not averaged:
        raise ValueError(f"{path}: no averaged weights in it; train with model.ema set")
    return surrogate
