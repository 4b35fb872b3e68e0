"""Prediction of the fields of meshes by a trained surrogate."""

import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor
from torch_geometric.data import Data

from flare_mesh.cases.case_files import CaseFiles
from flare_mesh.cases.case_reader import CaseReader, PredictionCase
from flare_mesh.cases.prediction_files import find_prediction_files
from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.cases.source_plugins import CompensatingPlugin, Progress, build_source
from flare_mesh.devices import find_device, is_out_of_memory
from flare_mesh.mesh import MeshData
from flare_mesh.prediction.precision import check_precision, in_precision
from flare_mesh.prediction.result import Prediction
from flare_mesh.surrogate.calibrate import DescribedPrediction, predict_described
from flare_mesh.surrogate.load import load_surrogate
from flare_mesh.surrogate.surrogate import Surrogate

DISPLACEMENT = "displacement"
"""Name of the field by which a part is compensated."""

# Largest number of nodes of a batch: a mesh with more fills the device on its own.
_NODES_PER_BATCH = 16_384
# Differences from the training range that a warning lists.
_MAX_LISTED = 4


class OutsideTrainingRangeWarning(UserWarning):
    """A mesh is outside the range of the training cases."""


class UnlikeTrainingCasesWarning(OutsideTrainingRangeWarning):
    """A mesh is unlike the training cases as a whole, so that its bands cannot be trusted."""


_UNLIKE = {
    "shape": "shape",
    "inputs": "the means and deviations of its inputs",
    "features": "what the model makes of it, the last hidden features",
}


class Predictor:
    """Predicts the fields of meshes, several small meshes per batch.

    Args:
        surrogate: A trained surrogate, or a path for :func:`load_surrogate`.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA if it is available. By default a
            surrogate stays on its device, and a loaded one is moved to ``"auto"``.
        batch_size: Largest number of meshes in a batch; a large mesh is a batch of its own.
        precision: ``"32"``, or ``"bf16"`` for linear layers in bfloat16, which processors and GPUs
            with instructions for it compute faster. The fields change by some 1 %, see
            ``docs/mixer.md``; bands are those of the training's precision.
        num_steps: Time steps to predict; by default as many as in training.
        step: Index of the time step to read of files that have several, negative from the last; by
            default as in training.
        values: Input numbers for the whole mesh, by name.
        table: CSV file of such numbers, whose first column names the meshes.
        on_progress: Called after each step of a source plug-in that simulates, with the number of
            steps that are done, of all steps, and the name of the last one.
        options: Options of the model's source plug-in, if it has one; see
            :mod:`flare_mesh.cases.source_plugins`.

    Raises:
        FileNotFoundError: If the surrogate or the table does not exist.
        ValueError: If an option does not apply to the surrogate, or the device does not exist.
    """

    def __init__(
        self,
        surrogate: Surrogate | str | Path,
        *,
        device: str | None = None,
        batch_size: int = 8,
        precision: str = "32",
        num_steps: int | None = None,
        step: int | None = None,
        values: Mapping[str, float] | None = None,
        table: str | Path | None = None,
        on_progress: Progress | None = None,
        **options: Any,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1 (got {batch_size})")
        where = find_device(device) if device is not None else None
        if not isinstance(surrogate, Surrogate):
            surrogate = load_surrogate(surrogate)
            where = find_device("auto") if where is None else where
        self.surrogate = surrogate if where is None else surrogate.to(where)
        self.batch_size, self.precision = batch_size, precision
        check_precision(precision, self.surrogate.y_mean.device)
        self.num_steps = num_steps
        self.recipe = recipe = CaseRecipe.from_info(
            surrogate.info, surrogate.inputs, surrogate.fields
        )
        if num_steps is not None and (surrogate.rollout is None or num_steps < 1):
            raise ValueError(
                f"num_steps: expected at least 1, and a model that predicts a time series step by "
                f"step (got {num_steps})"
            )
        if step is not None:
            if recipe.window is not None:
                raise ValueError(
                    f"step: expected none, since the model predicts time series (got {step})"
                )
            self.recipe = recipe = replace(recipe, step=step)
        self._reader = CaseReader(
            surrogate, recipe, values=values, table=table, on_progress=on_progress
        )
        self._source = build_source(recipe.source, options)

    def read(self, source: CaseFiles | Data) -> PredictionCase:
        """Read a mesh from files or memory, and warn if it is outside the training range.

        Raises:
            FileNotFoundError: If a file does not exist.
            SourceError: If the source plug-in fails, for example if a simulation does not converge.
            ValueError: If the mesh cannot be used, or lacks an input.
        """
        plugin, reader = self._source, self._reader
        if isinstance(source, CaseFiles):
            case = reader.read(source) if plugin is None else plugin.read(source, reader)
        else:
            mesh = source if isinstance(source, MeshData) else MeshData(**source.to_dict())
            if plugin is None:
                case = reader.from_mesh("mesh", mesh)
            else:
                case = plugin.from_mesh("mesh", mesh, reader)
        try:
            case = replace(case, data=self.surrogate.prepare(case.data))
        except (KeyError, AttributeError, TypeError, IndexError) as error:
            raise ValueError(
                f"{case.name}: the model's features {self.surrogate.features} cannot be computed "
                f"({error})"
            ) from error
        self._check(case)
        return case

    def _check(self, case: PredictionCase) -> None:
        surrogate, x = self.surrogate, case.data.x
        channels = 0 if x is None else x.shape[-1]
        if channels != surrogate.x_channels:
            raise ValueError(
                f"{case.name}: expected {surrogate.x_channels} features per node (got "
                f"{channels}); the model's inputs are {surrogate.inputs or surrogate.features}"
            )
        surrogate.check_input(case.data, case.name)
        if surrogate.training_range is not None:
            found = surrogate.training_range.differences(case.data, surrogate.channels)
            if found:
                listed = found[:_MAX_LISTED]
                if len(found) > len(listed):
                    listed.append(f"and {len(found) - len(listed)} more")
                message = f"{case.name}: outside of the training range: {'; '.join(listed)}"
                warnings.warn(message, OutsideTrainingRangeWarning, stacklevel=3)

    def predict(self, cases: Sequence[PredictionCase]) -> list[Prediction]:
        """Predict the fields of some meshes in one batch.

        Raises:
            ValueError: If there is not enough memory.
        """
        start = time.perf_counter()
        inputs = [case.data for case in cases]
        try:
            with in_precision(self.precision, self.surrogate.y_mean.device):
                found = self._describe(inputs)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            nodes = sum(len(case.data.pos) for case in cases)
            raise ValueError(
                f"{cases[0].name}: not enough memory for a batch of {nodes:,} nodes; lower "
                f"batch_size, or use device 'cpu' or a coarser mesh"
            ) from error
        fields = [{name: field.cpu() for name, field in one.predicted.items()} for one in found]
        seconds = (time.perf_counter() - start) / len(cases)
        return [
            self._with_trust(self._prediction(case, predicted, seconds), one)
            for case, predicted, one in zip(cases, fields, found, strict=True)
        ]

    def _describe(self, inputs: Sequence[Data]) -> list[DescribedPrediction]:
        if self.surrogate.calibration is not None:
            return predict_described(self.surrogate, inputs, self.num_steps)
        plain = self.surrogate.predict_prepared(inputs, num_steps=self.num_steps)
        return [DescribedPrediction(*pair, {}) for pair in zip(inputs, plain, strict=True)]

    def compensate(self, file: str | Path, prediction: Prediction, out: str | Path) -> None:
        """Write the surface of a part that comes out as designed if it distorts as predicted.

        The surface is corrected by the predicted ``displacement``; see
        :func:`lpbf.compensate`.

        Args:
            file: The part that was predicted.
            prediction: Its prediction.
            out: Surface file to write, such as ``part.stl``.

        Raises:
            ValueError: If the model is not one of parts and their displacement, or the file does
                not fit the prediction.
        """
        displacement = prediction.predicted.get(DISPLACEMENT)
        if not isinstance(self._source, CompensatingPlugin) or displacement is None:
            raise ValueError(
                f"{file}: expected a model that predicts the displacement of CAD parts (got one of "
                f"{[*prediction.predicted]}"
                f"{f' by the source {self.recipe.source!r}' if self.recipe.source else ''})"
            )
        mesh = MeshData(prediction.mesh.pos)
        mesh.cell_index, mesh.cell_type = prediction.mesh.cell_index, prediction.mesh.cell_type
        mesh[DISPLACEMENT] = displacement
        self._source.compensate(Path(file), mesh, self._reader, out)

    def _with_trust(self, prediction: Prediction, found: DescribedPrediction) -> Prediction:
        """Add bands and score, and warn of a case that is unlike the training cases."""
        calibration = self.surrogate.calibration
        if calibration is None:
            return prediction
        scores = calibration.scores(found.descriptors)
        kind = max(scores, key=lambda name: scores[name])
        end = "" if self.recipe.window is None else "_out"
        widths = calibration.half_widths(found.predicted, scores)
        prediction = replace(
            prediction,
            band={name.removesuffix(end): width for name, width in widths.items()},
            coverage=calibration.coverage,
            ood_score=scores[kind],
            ood_kind=kind,
        )
        if prediction.is_unlike:
            warnings.warn(
                f"{prediction.name}: unlike the training cases in {_UNLIKE[kind]}: "
                f"{scores[kind]:.1f} times the usual distance of known cases; do not "
                f"trust the prediction and its bands without a check",
                UnlikeTrainingCasesWarning,
                stacklevel=3,
            )
        return prediction

    def _prediction(
        self, case: PredictionCase, predicted: Mapping[str, Tensor], seconds: float
    ) -> Prediction:
        times: list[float] = []
        end = ""
        if self.recipe.window is not None:
            num_in, num_out = self.recipe.window
            name, channels = next(iter(self.surrogate.fields.items()))
            steps = num_in + predicted[name].shape[1] * num_out // channels
            times, end = [*case.times[:steps]], "_out"
            # Unknown times continue with the last time step.
            interval = times[-1] - times[-2] if len(times) > 1 else 1.0
            while len(times) < steps:
                times.append(times[-1] + interval)
            times = times[num_in:]
        fields = {name.removesuffix(end): values for name, values in predicted.items()}
        units = self.surrogate.units.items()
        return Prediction(
            case.name,
            case.mesh,
            fields,
            {name: values[:, : fields[name].shape[1]] for name, values in case.truth.items()},
            {name.removesuffix(end): unit for name, unit in units if name in predicted},
            self.recipe.on == "cells",
            tuple(times),
            seconds,
            case.simulate_seconds,
        )

    def run(
        self, files: Iterable[CaseFiles], *, skip_bad: bool = False
    ) -> Iterator[tuple[CaseFiles, Prediction]]:
        """Predict meshes in batches, in their order.

        Args:
            files: Files of each mesh; see :func:`find_prediction_files`.
            skip_bad: Warns of a mesh that cannot be used, and continues.

        Raises:
            ValueError: If a mesh cannot be used and ``skip_bad`` is not set, or none can be used.
        """
        batch: list[CaseFiles] = []
        cases: list[PredictionCase] = []
        nodes = bad = 0
        for source in files:
            try:
                case = self.read(source)
            except (ValueError, OSError) as error:
                if not skip_bad:
                    raise
                warnings.warn(f"left out: {error}", stacklevel=2)
                bad += 1
                continue
            size = len(case.data.pos)
            if batch and (len(batch) == self.batch_size or nodes + size > _NODES_PER_BATCH):
                yield from zip(batch, self.predict(cases), strict=True)
                batch, cases, nodes = [], [], 0
            batch.append(source)
            cases.append(case)
            nodes += size
        if batch:
            yield from zip(batch, self.predict(cases), strict=True)
        elif bad:
            raise ValueError(f"none of the {bad} meshes can be used")


def predict(
    surrogate: Surrogate | str | Path,
    source: str | Path | Data,
    *,
    device: str | None = None,
    precision: str = "32",
    num_steps: int | None = None,
    step: int | None = None,
    values: Mapping[str, float] | None = None,
    table: str | Path | None = None,
    **options: Any,
) -> Prediction:
    """Predict the fields of a mesh::

        prediction = predict("runs/plates", "plate.vtu")
        prediction.save("predicted.vtu")

    Args:
        surrogate: A trained surrogate, or a run's folder or checkpoint; see
            :func:`load_surrogate`.
        source: A mesh in memory; a mesh file of any readable format with the model's input
            fields; for a model of time series a ``.pvd`` file, a mesh file with several times or a
            folder of numbered files; or a file for the model's source plug-in, such as a CAD part.
            Fields with the name of a predicted field are its truth.
        device: As in :class:`Predictor`, like the other arguments.

    Raises:
        FileNotFoundError: If a file does not exist.
        SourceError: If the source plug-in fails, for example if a simulation does not converge.
        ValueError: If a file cannot be used or lacks an input, or an option does not apply.
    """
    predictor = Predictor(
        surrogate,
        device=device,
        precision=precision,
        num_steps=num_steps,
        step=step,
        values=values,
        table=table,
        **options,
    )
    if not isinstance(source, Data):
        found = find_prediction_files([source], predictor.recipe)
        if len(found) != 1:
            raise ValueError(
                f"{source}: expected one mesh or time series (got {len(found)}); use Predictor.run "
                f"for several"
            )
        source = found[0]  # pyright: ignore[reportAssignmentType]
    return predictor.predict([predictor.read(source)])[0]  # pyright: ignore[reportArgumentType]
