"""Writing and reading of surrogates, whose files are not trusted."""

import json
from abc import abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from flare_mesh.io.hub import HubMixin
from flare_mesh.models.stored_weights import check_finite_weights, check_needed_weights
from flare_mesh.surrogate.surrogate_file import (
    FILE,
    checksum,
    loading,
    split_calibration,
    write_surrogate_file,
)
from flare_mesh.trusted_classes import is_class_path, is_code_trusted, trusting_code
from flare_mesh.uncertainty import Calibration


class StoredSurrogate(HubMixin, nn.Module):
    """Module in one file of weights, a calibration and a JSON header; no code is run from it.

    Attributes:
        calibration: Bands of the fields, and distances to the training cases, or None.
    """

    calibration: Calibration | None

    @abstractmethod
    def header(self) -> dict[str, Any]:
        """Everything except the weights and the calibration, in types of JSON."""

    @classmethod
    @abstractmethod
    def from_header(cls, header: Mapping[str, Any]) -> Self:
        """Build a surrogate from its :meth:`header`, with weights that are still to be loaded.

        Raises:
            KeyError, TypeError, ValueError: If the header is damaged.
        """

    @abstractmethod
    def check_calibration(self, calibration: Calibration) -> None:
        """Refuse a calibration from a file whose bands are of other fields.

        Raises:
            ValueError: If they are.
        """

    @classmethod
    def from_weights(cls, header: Mapping[str, Any], weights: dict[str, Tensor]) -> Self:
        """Build a surrogate from its :meth:`header` and weights, of which neither is trusted.

        Raises:
            KeyError, TypeError, ValueError: If the header is damaged, or needs other weights.
        """
        if not (is_code_trusted() and any(map(is_class_path, header["model"].values()))):
            # Other packages' models, if they are trusted, may not be built without memory.
            check_needed_weights(weights, header["model"], lambda: cls.from_header(header))
        surrogate = cls.from_header(header)
        surrogate.load_state_dict(weights)
        return surrogate

    def save(self, path: str | Path) -> None:
        """Write weights and JSON header to ``surrogate.safetensors`` in the folder ``path``."""
        write_surrogate_file(Path(path) / FILE, self.header(), self.state_dict(), self.calibration)

    @classmethod
    def load(cls, path: str | Path, *, trust_code: bool = False) -> Self:
        """Load the surrogate in the folder ``path``; no code in the file is run.

        Args:
            path: The folder.
            trust_code: Whether the file may name a class outside this package, whose code is run.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If the file is damaged, is not a surrogate, has weights that are NaN, or
                names a class that is not trusted.
        """
        file = Path(path) / FILE
        if not file.is_file():
            raise FileNotFoundError(f"{path}: no trained surrogate in it (no {FILE})")
        with loading(file) as header, trusting_code(trust_code):
            with safe_open(file, framework="pt") as opened:
                metadata = opened.metadata()
            header.update(json.loads(metadata["surrogate"]))
            state = load_file(file)
            weights, calibration = split_calibration(metadata, state)
            surrogate = cls.from_weights(header, weights)
            if calibration is not None:
                surrogate.check_calibration(calibration)
            surrogate.calibration = calibration
            if metadata["sha256"] != checksum(state):
                raise ValueError("damaged: the weights do not match their checksum")
            check_finite_weights(state)
        return surrogate
