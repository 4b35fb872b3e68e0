"""Checkpoint files that are written whole and read without pickle."""

from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from flare_mesh.files import atomic_path
from flare_mesh.surrogate.checkpoint import read_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and replaces it when the file is complete.

    If the process is killed or the disk is full, the old file stays. Reading unpickles only tensors
    and plain values.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Write the file.

        Raises:
            OSError: If it cannot be written; the old file stays.
        """
        with atomic_path(path) as temporary:
            torch.save(checkpoint, temporary)

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Read a file with ``weights_only=True``; see :func:`read_checkpoint`."""
        return read_checkpoint(path)
