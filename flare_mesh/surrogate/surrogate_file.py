"""The file of a surrogate: weights, calibration, JSON header and checksum, without code."""

import hashlib
import json
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from flare_mesh._version import __version__
from flare_mesh.io.safetensors_file import write_safetensors
from flare_mesh.uncertainty import Calibration

_CALIBRATION = "calibration."  # prefix of its tensors

FILE = "surrogate.safetensors"
"""Name of the file in its folder."""


def write_surrogate_file(
    file: Path,
    header: Mapping[str, Any],
    state: dict[str, Tensor],
    calibration: Calibration | None = None,
) -> None:
    """Write a header, weights, and a calibration if there is one."""
    metadata = {"surrogate": json.dumps(header)}
    if calibration is not None:
        metadata["calibration"] = json.dumps(calibration.header())
        tensors = calibration.tensors().items()
        state = state | {_CALIBRATION + name: values.contiguous() for name, values in tensors}
    write_safetensors(file, state, metadata | {"sha256": checksum(state)})


def split_calibration(
    metadata: Mapping[str, str], state: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], Calibration | None]:
    """Weights and calibration of a file; files of older versions have no calibration.

    Args:
        metadata: Texts of the file.
        state: Its tensors.

    Raises:
        KeyError, TypeError, ValueError: If the calibration is damaged.
    """
    if "calibration" not in metadata:
        return dict(state), None
    own = {name: values for name, values in state.items() if name.startswith(_CALIBRATION)}
    weights = {name: values for name, values in state.items() if name not in own}
    tensors = {name.removeprefix(_CALIBRATION): values for name, values in own.items()}
    return weights, Calibration.from_header(json.loads(metadata["calibration"]), tensors)


@contextmanager
def loading(path: Path) -> Iterator[dict[str, Any]]:
    """Turn every error of loading a surrogate into one ValueError that names ``path``.

    Yields:
        A dictionary to put the header into, so that the message can name the version that wrote
        the file.
    """
    header: dict[str, Any] = {}
    try:
        yield header
    except Exception as error:  # damaged and foreign files end in errors of many types
        # torch lists every weight that differs.
        reason = textwrap.shorten(str(error), 300) or type(error).__name__
        if isinstance(error, KeyError):
            reason = f"no {reason} in its header, as in files of older versions; train it again"
        version = header.get("version", __version__)
        if version != __version__:
            reason += f" (written by flare-mesh {version}, this is {__version__})"
        raise ValueError(f"{path}: cannot be loaded as a surrogate: {reason}") from error


def checksum(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of all weights; safetensors has no checksum, so that a flipped bit is not noticed."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        values = state[name].detach().cpu().contiguous().reshape(-1)
        digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()
