"""Checkpoints that are whole, and run no code."""

from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO

from flare_mesh.files import atomic_path
from flare_mesh.surrogate.checkpoint import read_checkpoint


class AtomicCheckpointIO(TorchCheckpointIO):
    """Writes a checkpoint beside the old one and puts it in place when it is on the disk.

    A process that is killed, or a disk that is full, leaves the old one. Reading never unpickles
    more than tensors and plain values.
    """

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None
    ) -> None:
        """Writes the file whole.

        Raises:
            OSError: If it cannot be written; the old one stays.
        """
        with atomic_path(path) as temporary:
            try:
                torch.save(checkpoint, temporary)
            except RuntimeError as error:  # torch's writer does not say OSError
                raise OSError(f"{path}: cannot be written ({error}); is the disk full?") from error

    def load_checkpoint(self, path: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Reads a file with ``weights_only=True``; see :func:`read_checkpoint`."""
        return read_checkpoint(path)
