"""A trained model with all that it needs to go from a mesh to named fields in physical units."""

import hashlib
import json
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch_geometric.data import Batch, Data

from flare_mesh._version import __version__
from flare_mesh.data import build_normalizer
from flare_mesh.data.normalizers import FieldStatistics, Normalizer
from flare_mesh.data.transforms.resolver import TransformSpec, build_transforms
from flare_mesh.files import atomic_path
from flare_mesh.io.hub import HubMixin
from flare_mesh.models import FieldModel, build
from flare_mesh.surrogate.rollout import Rollout
from flare_mesh.surrogate.training_range import TrainingRange

FILE = "surrogate.safetensors"
"""Name of the file that a surrogate is kept in."""
# Nodes that a prediction goes through at a time: on a CPU their features stay in the cache, and
# meshes of millions of nodes fit into a laptop's memory.
_CHUNK_SIZE, _CHUNK_SIZE_CUDA = 16_384, 262_144
_NORMALIZED = ("pos", "x", "y")


class Surrogate(HubMixin, nn.Module):
    """Normalises a mesh's coordinates and features, runs the model, and gives physical fields.

    Args:
        model: Maps (x, pos, batch) to the normalised fields side by side.
        fields: Names and channels of the predicted fields, in their order.
        inputs: Names and channels of the fields in x, in their order, by which a prediction finds
            them in a mesh file; empty where ``features`` make x.
        units: Unit of each field.
        features: Transforms that make what the model's input needs of a mesh, applied before
            training and before prediction alike; see
            :func:`~flare_mesh.data.transforms.resolver.build_transform`.
        normalizers: Name, or mapping of ``name`` and options, of the normaliser of ``"pos"``,
            ``"x"`` and ``"y"``; see :func:`~flare_mesh.data.build_normalizer`. Those that are not
            named are ``"unit_gaussian"``.
        rollout: How a time series is gone through; None if the model predicts all of y at once.
        info: Where the training data came from; saved along, as JSON.

    Attributes:
        training_range: What the training cases cover; None before :meth:`fit_normalizers`.

    Raises:
        ValueError: If the parts do not fit each other.
    """

    y_scale: Tensor
    """Root mean square of y over the training nodes, one for all channels of a field, [C]."""
    y_mean: Tensor
    """Mean of y over the training nodes, [C]: what a prediction must be better than."""

    def __init__(
        self,
        model: FieldModel,
        fields: Mapping[str, int],
        *,
        inputs: Mapping[str, int] | None = None,
        units: Mapping[str, str] | None = None,
        features: Sequence[TransformSpec] = (),
        normalizers: Mapping[str, str | Mapping[str, Any]] | None = None,
        rollout: Rollout | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        step = rollout.step_fields if rollout else fields
        if sum(step.values()) != model.config["out_channels"]:
            raise ValueError(
                f"Surrogate: the fields {dict(step)} do not add up to the model's "
                f"{model.config['out_channels']} output channels"
            )
        unknown = [key for key in normalizers or {} if key not in _NORMALIZED]
        if unknown:
            raise ValueError(f"Surrogate: no normaliser of {unknown}; choose from {_NORMALIZED}")
        self.model = model
        self.fields = dict(fields)
        self.inputs = dict(inputs or {})
        self.units = dict(units or {})
        self.features = list(features)
        self.normalizers = dict.fromkeys(_NORMALIZED, "unit_gaussian") | dict(normalizers or {})
        self.rollout = rollout
        self.info = dict(info or {})
        self.training_range: TrainingRange | None = None
        self._make_features = build_transforms(features)
        self.pos_normalizer = self._normalizer("pos", model.config["pos_dim"])
        self.x_normalizer = self._normalizer("x", model.config["in_channels"])
        self.y_normalizer = self._normalizer("y", model.config["out_channels"])
        self.register_buffer("y_mean", torch.zeros(model.config["out_channels"]))
        self.register_buffer("y_scale", torch.ones(model.config["out_channels"]))

    def _normalizer(self, key: str, channels: int) -> Normalizer:
        spec = self.normalizers[key]
        options: dict[str, Any] = {"name": spec} if isinstance(spec, str) else dict(spec)
        try:
            return build_normalizer(options.pop("name"), channels, **options)
        except (KeyError, ValueError) as error:
            raise ValueError(f"the normaliser of '{key}', {spec!r}: {error}") from error

    def fit_normalizers(self, cases: Iterable[Data]) -> None:
        """Fits statistics and range on the training split, read once: cases with pos, x and y."""
        self.set_statistics(*self.gather_statistics(cases))

    def gather_statistics(
        self, cases: Iterable[Data]
    ) -> tuple[dict[str, FieldStatistics], TrainingRange | None]:
        """Statistics of "pos", "x" and "y", and the range, of some training cases."""
        sizes = {
            "pos": self.pos_normalizer.channels,
            "x": self.x_normalizer.channels,
            "y": self.y_normalizer.channels,
        }
        total = {key: FieldStatistics.empty(size) for key, size in sizes.items()}
        ranges = []
        for case in cases:
            fields = {"pos": case.pos, "x": case.x, "y": case.y}
            if self.rollout is not None:
                fields["y"] = torch.cat(self.rollout.split(fields["y"]))
            for key, size in sizes.items():
                if size:
                    part = FieldStatistics.gather([fields[key]], size)
                    total[key] = total[key].merge(part)
            ranges.append(TrainingRange.of(case))
        return total, TrainingRange.merge(ranges) if ranges else None

    def set_statistics(
        self, statistics: Mapping[str, FieldStatistics], training_range: TrainingRange | None
    ) -> None:
        """Takes what :meth:`gather_statistics` found, maybe merged from several processes."""
        self.pos_normalizer.set_statistics(statistics["pos"])
        self.y_normalizer.set_statistics(statistics["y"])
        if self.x_normalizer.channels:
            self.x_normalizer.set_statistics(statistics["x"])
        y = statistics["y"]
        self.y_mean.copy_(y.mean)
        fields = (self.fields if self.rollout is None else self.rollout.step_fields).values()
        squares = (y.variance + y.mean**2).split(list(fields))
        scale = torch.cat([part.mean().sqrt().expand(len(part)) for part in squares])
        self.y_scale.copy_(torch.where(scale > 0, scale, 1.0))
        self.training_range = training_range

    def forward(
        self,
        data: Data,
        *,
        num_steps: int | None = None,
        chunk_size: int | None = None,
        group: Any = None,
    ) -> Tensor:
        """Fields side by side in physical units, [N, C], of a ``Data`` or ``Batch``.

        Args:
            data: The meshes, with what ``features`` make.
            num_steps: Steps to go through a time series; as many as in training by default.
            chunk_size: See :meth:`FLAREOperator.forward`.
            group: Processes over which the nodes are spread, likewise.
        """
        if self.rollout is None:
            return self.step(data, data.x, chunk_size=chunk_size, group=group)
        steps, x = [], data.x
        assert isinstance(x, Tensor)
        for _ in range(self.rollout.num_out if num_steps is None else num_steps):
            steps.append(self.step(data, x, chunk_size=chunk_size, group=group))
            x = self.rollout.advance(x, steps[-1])
        return self.rollout.join(steps)

    def step(
        self, data: Data, x: Tensor | None, *, chunk_size: int | None = None, group: Any = None
    ) -> Tensor:
        """One evaluation of the model, [N, out_channels] in physical units.

        Args:
            data: The meshes.
            x: Their features in physical units [N, in_channels].
            chunk_size: As in :meth:`forward`.
            group: As in :meth:`forward`.
        """
        pos = data.pos
        assert isinstance(pos, Tensor)
        dtype = next(self.model.parameters()).dtype
        more: dict[str, Any] = {}
        if self.model.can_stream:
            more = {"chunk_size": chunk_size, "group": group}
        elif group is not None:
            raise ValueError(
                f"{type(self.model).__name__}: cannot have its nodes spread over processes"
            )
        size = chunk_size if self.model.can_stream else None
        features = None
        if self.x_normalizer.channels and x is not None:
            features = _in_pieces(self.x_normalizer, x, size, dtype)
        fields = self.model(
            features,
            _in_pieces(self.pos_normalizer, pos, size, dtype),
            data.batch,
            ptr=data.ptr if group is None and "ptr" in data else None,
            weight=data.weight if "weight" in data else None,
            edge_index=data.edge_index if self.model.uses_edges else None,
            batch_size=data.num_graphs if "batch" in data else None,
            **more,
        )
        # What a mixed precision gives is decoded in full.
        return _in_pieces(self.y_normalizer.inverse, fields, size, pos.dtype)

    def split_fields(self, y: Tensor) -> dict[str, Tensor]:
        """Columns of y [N, C] by field; of a time series of any number of steps."""
        fields = self.fields
        if self.rollout is not None:
            steps = y.shape[1] // sum(self.rollout.step_fields.values())
            fields = self.rollout.fields_of(steps)
        return dict(zip(fields, y.split(list(fields.values()), dim=1), strict=True))

    def prepare(self, data: Data) -> Data:
        """The mesh with what ``features`` make of it."""
        return data if self._make_features is None else self._make_features(data)

    def predict(self, data: Data, *, num_steps: int | None = None) -> dict[str, Tensor]:
        """Fields of one mesh by name, [N, channels], in physical units.

        Args:
            data: The mesh, with ``x`` where ``features`` do not make it.
            num_steps: Steps to go through a time series; as many as in training by default.
        """
        return self.predict_prepared([self.prepare(data)], num_steps=num_steps)[0]

    @torch.no_grad()
    def predict_prepared(
        self, cases: Sequence[Data], *, num_steps: int | None = None
    ) -> list[dict[str, Tensor]]:
        """Fields of several meshes, in one pass of the model; on its device.

        Args:
            cases: The meshes, each as :meth:`prepare` gives it.
            num_steps: As in :meth:`predict`.
        """
        training = self.training
        self.eval()
        try:
            return self._predict(cases, num_steps)
        finally:
            self.train(training)

    def _predict(self, cases: Sequence[Data], num_steps: int | None) -> list[dict[str, Tensor]]:
        device, size = self.y_mean.device, None
        parts = [self._needed(case).to(str(device)) for case in cases]
        if self.model.can_stream:
            size = _CHUNK_SIZE_CUDA if device.type == "cuda" else _CHUNK_SIZE
        if len(parts) == 1:
            return [self.split_fields(self(parts[0], num_steps=num_steps, chunk_size=size))]
        batch = Batch.from_data_list(list(parts))
        y = self(batch, num_steps=num_steps, chunk_size=size)
        return [
            self.split_fields(part) for part in y.split([case.num_nodes or 0 for case in parts])
        ]

    def _needed(self, case: Data) -> Data:
        """What the model looks at, without the cells and fields around it."""
        keys = ["pos", "x", "weight"] + ["edge_index"] * self.model.uses_edges
        found = {key: case[key] for key in keys if key in case}
        return Data.from_dict({key: value for key, value in found.items() if value is not None})

    def header(self) -> dict[str, Any]:
        """All but the weights, as JSON."""
        return {
            "version": __version__,
            "model": {"name": self.model.NAME, **self.model.config},
            "fields": self.fields,
            "inputs": self.inputs,
            "units": self.units,
            "features": self.features,
            "normalizers": self.normalizers,
            "rollout": None if self.rollout is None else self.rollout.to_dict(),
            "training_range": self.training_range and self.training_range.to_dict(),
            "info": self.info,
        }

    def save(self, path: str | Path) -> None:
        """Writes ``surrogate.safetensors``, weights and JSON header, into the folder ``path``."""
        state = self.state_dict()
        metadata = {"surrogate": json.dumps(self.header()), "sha256": _checksum(state)}
        with atomic_path(Path(path) / FILE) as temporary:
            save_file(state, temporary, metadata=metadata)

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> "Surrogate":
        """The surrogate that :meth:`header` tells of, with weights that are yet to be loaded.

        Raises:
            KeyError, TypeError, ValueError: If it is not such a header.
        """
        options = dict(header)
        options.pop("version")
        model, covered = options.pop("model"), options.pop("training_range")
        if options["rollout"] is not None:
            options["rollout"] = Rollout(**options["rollout"])
        surrogate = cls(build(**model), options.pop("fields"), **options)
        surrogate.training_range = covered and TrainingRange.from_dict(covered)
        return surrogate

    @classmethod
    def load(cls, path: str | Path) -> "Surrogate":
        """Reads what :meth:`save` wrote into the folder ``path``; no code is run from the file.

        Raises:
            FileNotFoundError: If there is none.
            ValueError: If the file is not what :meth:`save` writes.
        """
        file, header = Path(path) / FILE, None
        if not file.is_file():
            raise FileNotFoundError(f"{path}: no trained surrogate there (no {FILE})")
        try:
            with safe_open(file, framework="pt") as opened:
                metadata = opened.metadata()
            header, state = json.loads(metadata["surrogate"]), load_file(file)
            surrogate = cls.from_header(header)
            surrogate.load_state_dict(state)
            if metadata["sha256"] != _checksum(state):
                raise ValueError("damaged: the weights do not have their checksum")
        # Whatever a file that is not ours makes of a model.
        except Exception as error:
            reason = textwrap.shorten(describe_load_error(error, header), 400)
            raise ValueError(f"{file}: cannot be loaded as a surrogate: {reason}") from error
        return surrogate


def describe_load_error(error: Exception, header: Any) -> str:
    """Why a header and its weights do not make a surrogate, with the version that wrote them."""
    # torch lists every weight that differs
    reason = textwrap.shorten(str(error), 300) or type(error).__name__
    if isinstance(error, KeyError):
        reason = f"no {reason} in its header"
    version = header.get("version") if isinstance(header, Mapping) else None
    if version is not None and version != __version__:
        reason += f" (written by flare-mesh {version}, this is {__version__})"
    return reason


def _in_pieces(
    function: Callable[[Tensor], Tensor], field: Tensor, size: int | None, dtype: torch.dtype
) -> Tensor:
    """``function`` of a field [N, C], row by row, without copies of all of it on the way."""
    wide = torch.promote_types(field.dtype, dtype)
    if size is None:
        return function(field.to(wide)).to(dtype)
    out = torch.empty_like(field, dtype=dtype)
    for piece, part in zip(out.split(size), field.split(size), strict=True):
        piece.copy_(function(part.to(wide)))
    return out


def _checksum(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of all weights: safetensors has none, and a flipped bit is a wrong field."""
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode())
        values = state[name].detach().cpu().contiguous().reshape(-1)
        digest.update(values.view(torch.uint8).numpy().data)
    return digest.hexdigest()
