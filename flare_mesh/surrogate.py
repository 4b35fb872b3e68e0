"""A trained model with all that it needs to go from a mesh to named fields in physical units."""

import json
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch_geometric.data import Data

from flare_mesh.data import UnitGaussianNormalizer, atomic_path
from flare_mesh.data.transforms import BuildFeatures
from flare_mesh.models import FLAREOperator

_FILE = "surrogate.safetensors"
_TRANSFORMS = {"build_features": BuildFeatures}


# Nodes that a prediction goes through at a time: their features stay in the cache, and meshes of
# millions of nodes fit into a laptop's memory.
_CHUNK_SIZE = 16_384


class Surrogate(nn.Module):
    """Normalises a mesh's coordinates and features, runs the model, and gives physical fields.

    Args:
        model: Maps (x, pos, batch) to the normalised fields side by side.
        fields: Names and channels of the predicted fields, in their order.
        units: Unit of each field.
        transform: ``"build_features"`` if the model's input features are made by
            :class:`~flare_mesh.data.transforms.BuildFeatures`; None if the meshes carry their own.
        info: Where the training data came from; saved along, as JSON.
    """

    def __init__(
        self,
        model: FLAREOperator,
        fields: Mapping[str, int],
        *,
        units: Mapping[str, str] | None = None,
        transform: str | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        if transform is not None and transform not in _TRANSFORMS:
            raise ValueError(
                f"Surrogate: unknown transform '{transform}'; choose from {sorted(_TRANSFORMS)}"
            )
        if sum(fields.values()) != model.config["out_channels"]:
            raise ValueError(
                f"Surrogate: the fields {dict(fields)} do not add up to the model's "
                f"{model.config['out_channels']} output channels"
            )
        self.model = model
        self.fields = dict(fields)
        self.units = dict(units or {})
        self.transform = transform
        self.info = dict(info or {})
        self.pos_normalizer = UnitGaussianNormalizer(model.config["pos_dim"])
        self.x_normalizer = UnitGaussianNormalizer(model.config["in_channels"])
        self.y_normalizer = UnitGaussianNormalizer(model.config["out_channels"])

    def fit_normalizers(self, cases: Any) -> None:
        """Fits the statistics on the training split: an iterable over cases, read three times."""
        self.pos_normalizer.fit(case.pos for case in cases)
        self.y_normalizer.fit(case.y for case in cases)
        if self.model.config["in_channels"]:
            self.x_normalizer.fit(case.x for case in cases)

    def forward(self, data: Data, *, chunk_size: int | None = None) -> Tensor:
        """Fields side by side in physical units, [N, out_channels], of a ``Data`` or ``Batch``.

        Args:
            data: The meshes.
            chunk_size: See :meth:`FLAREOperator.forward`.
        """
        x = self.x_normalizer(data.x) if self.model.config["in_channels"] else None
        pos = data.pos
        assert isinstance(pos, Tensor)
        fields = self.model(
            x,
            self.pos_normalizer(pos),
            data.batch,
            weight=data.weight if "weight" in data else None,
            edge_index=data.edge_index,
            chunk_size=chunk_size,
        )
        return self.y_normalizer.inverse(fields)

    def split_fields(self, y: Tensor) -> dict[str, Tensor]:
        """Columns of y [N, out_channels] by field."""
        return dict(zip(self.fields, y.split(list(self.fields.values()), dim=1), strict=True))

    @torch.no_grad()
    def predict(self, data: Data) -> dict[str, Tensor]:
        """Fields of one mesh by name, [N, channels], in physical units."""
        self.eval()
        if self.transform is not None:
            data = _TRANSFORMS[self.transform]()(data)
        return self.split_fields(self(data, chunk_size=_CHUNK_SIZE))

    def save(self, path: str | Path) -> None:
        """Writes ``surrogate.safetensors``, weights and JSON header, into the folder ``path``."""
        header = {
            "model": self.model.config,
            "fields": self.fields,
            "units": self.units,
            "transform": self.transform,
            "info": self.info,
        }
        with atomic_path(Path(path) / _FILE) as temporary:
            save_file(self.state_dict(), temporary, metadata={"surrogate": json.dumps(header)})

    @classmethod
    def load(cls, path: str | Path) -> "Surrogate":
        """Reads what :meth:`save` wrote into the folder ``path``; no code is run from the file.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If the file is not what :meth:`save` writes.
        """
        file = Path(path) / _FILE
        if not file.is_file():
            raise FileNotFoundError(f"{path}: no trained surrogate there (no {_FILE})")
        try:
            with safe_open(file, framework="pt") as opened:
                header = json.loads(opened.metadata()["surrogate"])
            surrogate = cls(FLAREOperator(**header.pop("model")), **header)
            surrogate.load_state_dict(load_file(file))
        except (KeyError, TypeError, ValueError, RuntimeError, SafetensorError) as error:
            reason = textwrap.shorten(str(error), 300)  # torch lists every weight that differs
            raise ValueError(f"{file}: cannot be loaded as a surrogate: {reason}") from error
        return surrogate
