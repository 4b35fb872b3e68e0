"""A trained model with everything that maps a mesh to named fields in physical units."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any, Self

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from flare_mesh._version import __version__
from flare_mesh.data import build_normalizer
from flare_mesh.data.normalizers import Normalizer
from flare_mesh.data.transforms.channels import Channel
from flare_mesh.data.transforms.resolver import (
    TransformSpec,
    appended_channels,
    build_transforms,
)
from flare_mesh.models import FieldModel, HistoryState, build
from flare_mesh.surrogate.calibrate import calibrate, step_channels
from flare_mesh.surrogate.call_model import call_model
from flare_mesh.surrogate.case_scale import CaseScale
from flare_mesh.surrogate.map_chunks import map_chunks
from flare_mesh.surrogate.rollout import Rollout
from flare_mesh.surrogate.scale_by import ScaleBy
from flare_mesh.surrogate.series_steps import predict_steps
from flare_mesh.surrogate.square_average import SquareAverage
from flare_mesh.surrogate.stored_surrogate import StoredSurrogate
from flare_mesh.surrogate.training_range import TrainingRange
from flare_mesh.surrogate.training_statistics import Statistics, gather_statistics
from flare_mesh.uncertainty import Calibration

# Nodes of a chunk in prediction: on a CPU their features stay in its cache, and meshes of millions
# of nodes fit into the memory of a laptop.
_CHUNK_SIZE, _CHUNK_SIZE_CUDA = 16_384, 262_144
_CHANNELS = {"pos": "pos_dim", "x": "in_channels", "y": "out_channels"}
NORMALIZED = tuple(_CHANNELS)
"""Tensors of a case that the model maps, each with its normaliser."""


class Surrogate(StoredSurrogate):
    """Trained model that predicts named fields in physical units.

    It normalises coordinates and features of a mesh, runs the model, and denormalises the fields.

    Args:
        model: Maps (x, pos, batch) to the normalised fields, stacked side by side.
        fields: Channels of each predicted field, by name, in order.
        inputs: Channels of each field in x, by name, in order; prediction finds the fields of a
            mesh file by these names. Channels that ``features`` append follow them. Empty if
            ``features`` compute x.
        units: Unit of each field.
        features: Transforms that compute the model's input from a mesh, applied in training and
            prediction; see :func:`~flare_mesh.data.transforms.resolver.build_transform`.
        normalizers: Name, or mapping of ``name`` and options, of the normaliser of ``"pos"``,
            ``"x"`` and ``"y"``; see :func:`~flare_mesh.data.build_normalizer`. The default is
            ``"unit_gaussian"``.
        scale_by: Scale of each case by which fields are divided before they are normalised, such as
            ``{"displacement": "load", "von_mises": "power_law"}``; see
            :class:`~flare_mesh.surrogate.case_scale.CaseScale`. None for none.
        drop_scales: Whether the inputs in ``scale_by`` are hidden from the model, so that its
            prediction is exactly proportional to them.
        rollout: Time steps, if the model predicts one step after the other; None if it predicts
            all of y at once.
        square_symmetry: Mapping of ``vectors`` and ``sizes``, the columns that a symmetry of the
            square changes, to average each prediction over all eight symmetries; see
            :class:`~flare_mesh.surrogate.square_average.SquareAverage`. It holds in evaluation mode
            alone, since training draws one of them. None for no average.
        info: Origin of the training data, in types of JSON; saved with the surrogate.

    Attributes:
        scale: The scales of ``scale_by``, or None.
        square_average: The average of ``square_symmetry``, or None.
        training_range: Range of the training cases; None before :meth:`fit_normalizers`.
        calibration: Bands of the fields, and distances to the training cases; None before
            :meth:`calibrate`.

    Raises:
        ValueError: If the arguments do not match each other.
    """

    y_scale: Tensor
    """Root mean square of y over the training nodes, equal for all channels of a field, [C]."""
    y_mean: Tensor
    """Mean of y over the training nodes, [C], the baseline of a prediction."""

    def __init__(
        self,
        model: FieldModel,
        fields: Mapping[str, int],
        *,
        inputs: Mapping[str, int] | None = None,
        units: Mapping[str, str] | None = None,
        features: Sequence[TransformSpec] = (),
        normalizers: Mapping[str, str | Mapping[str, Any]] | None = None,
        scale_by: ScaleBy | None = None,
        drop_scales: bool = False,
        rollout: Rollout | None = None,
        square_symmetry: Mapping[str, Any] | None = None,
        info: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        step = rollout.step_fields if rollout else fields
        if sum(step.values()) != model.config["out_channels"]:
            raise ValueError(
                f"Surrogate: expected fields with {model.config['out_channels']} channels in "
                f"total, as in the model's output (got {dict(step)})"
            )
        unknown = [key for key in normalizers or {} if key not in NORMALIZED]
        if unknown:
            raise ValueError(f"Surrogate: no normaliser for {unknown}; choose from {NORMALIZED}")
        if model.has_history != (rollout is not None and rollout.input_steps is not None):
            raise ValueError(
                f"Surrogate: expected a model with history and a rollout with input_steps, or none "
                f"of both (got history={model.config.get('history')!r} and rollout={rollout})"
            )
        if drop_scales and not scale_by:
            raise ValueError("drop_scales: there are no scales; set scale_by, or leave it out")
        if scale_by and rollout is not None:
            raise ValueError(
                "scale_by: the steps of a rollout have no scale of their own; leave out scale_by, "
                "or rollout"
            )
        if square_symmetry is not None and rollout is not None:
            raise ValueError(
                "square_symmetry: the columns of y differ in the steps of a rollout; leave out "
                "square_symmetry, or rollout"
            )
        self.model = model
        self.fields = dict(fields)
        self.inputs = dict(inputs or {})
        self.units = dict(units or {})
        self.features = list(features)
        self.normalizers = dict.fromkeys(NORMALIZED, "unit_gaussian") | dict(normalizers or {})
        self.scale_by = dict(scale_by or {})
        self.drop_scales = bool(drop_scales)
        self.rollout = rollout
        self.info = dict(info or {})
        self.training_range: TrainingRange | None = None
        self.calibration: Calibration | None = None
        self._make_features = build_transforms(features)
        sizes = {key: model.config[option] for key, option in _CHANNELS.items()}
        self.pos_normalizer, self.x_normalizer, self.y_normalizer = (
            self._build_normalizer(key, size) for key, size in sizes.items()
        )
        self.scale: CaseScale | None = None
        if self.scale_by:
            channels = model.config["in_channels"]
            self.scale = CaseScale(
                self.scale_by,
                self.fields,
                self.inputs,
                channels,
                self.channels,
                drop=self.drop_scales,
            )
        self.square_symmetry = None if square_symmetry is None else dict(square_symmetry)
        self.square_average: SquareAverage | None = None
        if self.square_symmetry is not None:
            self.square_average = SquareAverage.from_options(self.square_symmetry, sizes)
        self.register_buffer("y_mean", torch.zeros(model.config["out_channels"]))
        self.register_buffer("y_scale", torch.ones(model.config["out_channels"]))

    def _build_normalizer(self, key: str, channels: int) -> Normalizer:
        spec = self.normalizers[key]
        options: dict[str, Any] = {"name": spec} if isinstance(spec, str) else dict(spec)
        try:
            return build_normalizer(options.pop("name"), channels, **options)
        except (KeyError, ValueError) as error:
            raise ValueError(f"normaliser of '{key}', {spec!r}: {error}") from error

    def _normalizers(self) -> dict[str, Normalizer]:
        return {"pos": self.pos_normalizer, "x": self.x_normalizer, "y": self.y_normalizer}

    @property
    def x_channels(self) -> int:
        """Channels of x, of which a model with history sees some steps at a time."""
        hidden = 0 if self.rollout is None else self.rollout.hidden_channels
        return self.x_normalizer.channels + hidden

    @property
    def channels(self) -> list[Channel]:
        """Names of the channels of x in order, as far as they are known, else empty."""
        appended = appended_channels(self.features, self.model.config["pos_dim"])
        sizes = [*self.inputs.values()]
        # Before the names are made: a damaged file may have any sizes.
        if sum(sizes) + len(appended) != self.x_channels or min([*sizes, 0]) < 0:
            return []
        fields = [
            Channel(name if size == 1 else f"{name}, component {i}")
            for name, size in self.inputs.items()
            for i in range(size)
        ]
        return [*fields, *appended]

    def fit_normalizers(self, cases: Iterable[Data]) -> None:
        """Fit the scale, the normalisers and the range on cases with ``pos``, ``x`` and ``y``.

        Raises:
            ValueError: If a case does not fit; with a scale, if the cases can be read only once.
        """
        if self.scale is not None:
            if cases is iter(cases):
                raise ValueError(
                    "fit_normalizers: with scale_by the cases are read twice; give a list or a "
                    "loader (got an iterator)"
                )
            self.scale.fit(self.scale.measure(cases))
        self.set_statistics(self.gather_statistics(cases))

    def gather_statistics(self, cases: Iterable[Data]) -> Statistics:
        """The statistics of some training cases, see :func:`gather_statistics`."""
        return gather_statistics(cases, self._normalizers(), self.rollout, self.scale)

    def set_statistics(self, statistics: Statistics) -> None:
        """Fit the normalisers and the range to the statistics of all training cases."""
        for key, normalizer in self._normalizers().items():
            if normalizer.channels:
                normalizer.set_statistics(statistics.get(f"normalized_{key}", statistics[key]))
        y = statistics["y"]
        self.y_mean.copy_(y.mean)
        fields = self.fields if self.rollout is None else self.rollout.step_fields
        squares = (y.variance + y.mean**2).split([*fields.values()])
        scale = torch.cat([part.mean().sqrt().expand(len(part)) for part in squares])
        self.y_scale.copy_(torch.where(scale > 0, scale, 1.0))
        self.training_range = TrainingRange.from_statistics(statistics)

    def forward(
        self,
        data: Data,
        *,
        num_steps: int | None = None,
        chunk_size: int | None = None,
        group: Any = None,
    ) -> Tensor:
        """Predict the fields of a ``Data`` or ``Batch``, side by side in physical units [N, C].

        Args:
            data: The meshes, after :meth:`prepare`.
            num_steps: Steps of a time series to predict; by default as many as in training.
            chunk_size: Nodes of a chunk, see :meth:`FLAREOperator.forward`.
            group: Process group over which the nodes are spread, see
                :meth:`FLAREOperator.forward`.
        """
        if self.rollout is None:
            return self.step(data, data.x, chunk_size=chunk_size, group=group)
        x = data.x
        assert isinstance(x, Tensor)
        count = self.rollout.num_out if num_steps is None else num_steps
        known = self.rollout.known(x)
        return predict_steps(self, data, known, count, chunk_size=chunk_size, group=group)

    def advance(
        self,
        data: Data,
        x: Tensor,
        state: HistoryState | None = None,
        *,
        series: Tensor | int | None = None,
        chunk_size: int | None = None,
        group: Any = None,
    ) -> tuple[Tensor, HistoryState | None]:
        """Predict the next step of a time series, and keep what a model with history has seen.

        Args:
            data: The meshes.
            x: What the model sees of the past [N, C], in physical units.
            state: State after the steps before; None at the first step, and for a model without
                history.
            series: As in :meth:`FLAREOperator.forward`.
            chunk_size: As in :meth:`forward`.
            group: As in :meth:`forward`.

        Returns:
            The step [N, out_channels] in physical units, and the state; None for a model without
            history.
        """
        if not self.model.has_history:
            return self.step(data, x, chunk_size=chunk_size, group=group), None
        pos = data.pos
        assert isinstance(pos, Tensor)
        return self._evaluate(
            data, pos, x, chunk_size=chunk_size, group=group,
            series=series, state=state, return_state=True,
        )  # fmt: skip

    def step(
        self, data: Data, x: Tensor | None, *, chunk_size: int | None = None, group: Any = None
    ) -> Tensor:
        """Predict all of y, or the next step of a time series, [N, out_channels] in physical units.

        Args:
            data: The meshes.
            x: Features in physical units [N, in_channels].
            chunk_size: As in :meth:`forward`.
            group: As in :meth:`forward`.
        """
        pos = data.pos
        assert isinstance(pos, Tensor)

        def evaluate(pos: Tensor, x: Tensor | None) -> Tensor:
            return self._evaluate(data, pos, x, chunk_size=chunk_size, group=group)[0]

        if self.square_average is None or self.training:
            return evaluate(pos, x)
        return self.square_average(evaluate, pos, x)

    def _evaluate(
        self,
        data: Data,
        pos: Tensor,
        x: Tensor | None,
        *,
        chunk_size: int | None,
        group: Any,
        **history: Any,
    ) -> tuple[Tensor, HistoryState | None]:
        """Evaluate the model once, [N, out_channels] in physical units, with the new state."""
        dtype = next(self.model.parameters()).dtype
        features = None
        if self.x_normalizer.channels and x is not None:
            features = map_chunks(self._to_features, x, chunk_size, dtype)
        normalized = map_chunks(self.pos_normalizer, pos, chunk_size, dtype)
        found = call_model(
            self.model, features, normalized, data, chunk_size=chunk_size, group=group, **history
        )
        fields, state = found if history else (found, None)
        # In the precision of pos, since mixed precision is too coarse for physical values.
        more_rows = () if self.scale is None or x is None else (x,)
        return map_chunks(self._to_physical, fields, chunk_size, pos.dtype, *more_rows), state

    def _to_features(self, x: Tensor) -> Tensor:
        x = self.x_normalizer(x)
        return x if self.scale is None else self.scale.hide_dropped(x)

    def _to_physical(self, fields: Tensor, x: Tensor | None = None) -> Tensor:
        fields = self.y_normalizer.inverse(fields)
        return fields if self.scale is None else self.scale(x) * fields

    def split_fields(self, y: Tensor) -> dict[str, Tensor]:
        """Split y [N, C] by field; a time series may have any number of steps."""
        if self.rollout is not None:
            return self.rollout.split_fields(y)
        return dict(zip(self.fields, y.split([*self.fields.values()], 1), strict=True))

    def prepare(self, data: Data) -> Data:
        """Apply ``features`` to a mesh."""
        return data if self._make_features is None else self._make_features(data)

    def predict(self, data: Data, *, num_steps: int | None = None) -> dict[str, Tensor]:
        """Predict the fields of a mesh by name, [N, channels] in physical units.

        Args:
            data: The mesh, with ``x`` unless ``features`` compute it.
            num_steps: As in :meth:`forward`.
        """
        return self.predict_prepared([self.prepare(data)], num_steps=num_steps)[0]

    def predict_prepared(
        self, cases: Sequence[Data], *, num_steps: int | None = None
    ) -> list[dict[str, Tensor]]:
        """Predict the fields of several meshes in one batch, on the device of the model.

        Args:
            cases: The meshes, each after :meth:`prepare`.
            num_steps: As in :meth:`forward`.
        """
        device, training, size = self.y_mean.device, self.training, None
        if self.model.can_stream:
            size = _CHUNK_SIZE_CUDA if device.type == "cuda" else _CHUNK_SIZE
        for number, case in enumerate(cases):
            self.check_input(case, str(case.get("case_id", number)))
        inputs = [self._input(case).to(str(device)) for case in cases]
        batch = inputs[0] if len(inputs) == 1 else Batch.from_data_list([*inputs])
        self.eval()
        try:
            with torch.inference_mode():
                y = self(batch, num_steps=num_steps, chunk_size=size)
        finally:
            self.train(training)
        # A copy is an ordinary tensor: one of inference mode cannot be changed, nor have gradients.
        y = y.clone()
        return [self.split_fields(part) for part in y.split([len(one.pos) for one in inputs])]  # pyright: ignore[reportArgumentType]

    @contextmanager
    def without_average(self) -> Iterator[None]:
        """Context in which the model is evaluated once for a prediction, without an average."""
        average, self.square_average = self.square_average, None
        try:
            yield
        finally:
            self.square_average = average

    def check_input(self, case: Data, name: str) -> None:
        """Refuse inputs that cannot be normalised, or with which a scale would vary over a case.

        Args:
            case: The mesh, after :meth:`prepare`.
            name: Its name, for the message.

        Raises:
            ValueError: If there are some.
        """
        if isinstance(case.x, Tensor):
            for seen in [case.x] if self.rollout is None else self.rollout.known(case.x):
                self.x_normalizer.check(seen, f"case '{name}', x")
            if self.scale is not None:
                self.scale.check_case(case.x, name)

    def _input(self, case: Data) -> Data:
        """The input of the model alone, without cells and other fields."""
        keys = ["pos", "x", "weight"] + ["edge_index"] * self.model.uses_edges
        found = {key: case[key] for key in keys if key in case}
        return Data.from_dict({key: value for key, value in found.items() if value is not None})

    def calibrate(
        self, cases: Sequence[Data], training: Sequence[Data] = (), *, coverage: float = 0.9
    ) -> Calibration:
        """Calibrate bands and the distance to the training cases, and save them with the weights.

        The bands hold for cases like the given ones, as long as the weights do not change.

        Args:
            cases: Cases with ``y`` that training has not seen, after :meth:`prepare`; at least
                three.
            training: The training cases with ``y``, from which distances are measured and the local
                scale of errors is found; by default ``cases``.
            coverage: Share of the nodes of a new case that the bands are to cover.

        Returns:
            The calibration, also in :attr:`calibration`.

        Raises:
            ValueError: If there are too few cases, or a prediction is not finite.
        """
        self.calibration = calibrate(self, cases, training, coverage)
        return self.calibration

    def check_calibration(self, calibration: Calibration) -> None:
        expected = step_channels(self)
        got = {name: band.channels for name, band in calibration.bands.items()}
        if got != expected:
            raise ValueError(f"its bands are damaged: expected those of {expected} (got {got})")

    def header(self) -> dict[str, Any]:
        """Everything except the weights and the calibration, in types of JSON."""
        return {
            "version": __version__,
            "model": {"name": self.model.stored_name(), **self.model.config},
            "fields": self.fields,
            "inputs": self.inputs,
            "units": self.units,
            "features": self.features,
            "normalizers": self.normalizers,
            "scale_by": self.scale_by or None,
            "drop_scales": self.drop_scales or None,
            "rollout": self.rollout and asdict(self.rollout),
            "square_symmetry": self.square_symmetry,
            "training_range": self.training_range and asdict(self.training_range),
            "info": self.info,
        }

    @classmethod
    def from_header(cls, header: Mapping[str, Any]) -> Self:
        options = dict(header)
        options.pop("version")
        model, training_range = options.pop("model"), options.pop("training_range")
        if options["rollout"] is not None:
            options["rollout"] = Rollout(**options["rollout"])
        surrogate = cls(build(**model), options.pop("fields"), **options)
        surrogate.training_range = training_range and TrainingRange.from_dict(training_range)
        return surrogate
