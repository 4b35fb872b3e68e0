"""Weights in safetensors files that appear whole or not at all."""

from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from flare_mesh.files import atomic_path


def write_safetensors(
    path: str | Path, state: Mapping[str, Tensor], metadata: Mapping[str, str] | None = None
) -> None:
    """Write tensors by name, and texts as the file's metadata.

    The package's own ``save_file`` has an exception of its own for a full disk, and writes files
    that only their owner can read.

    Raises:
        OSError: If the file cannot be written.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(save(dict(state), None if metadata is None else dict(metadata)))
