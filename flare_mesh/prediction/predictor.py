"""From mesh files or CAD parts to predicted fields, beside the truth where it is known."""

import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch_geometric.data import Data

from flare_mesh.cases.case_reader import CaseReader, PredictionCase
from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.cases.source_plugins import build_source
from flare_mesh.cases.sources import MeshSource, find_sources
from flare_mesh.devices import find_device
from flare_mesh.mesh import MeshData
from flare_mesh.prediction.result import Prediction
from flare_mesh.surrogate.load import load_surrogate
from flare_mesh.surrogate.surrogate import Surrogate

# Nodes that meshes share a pass up to: beyond, a mesh by itself fills the device.
_NODES_OF_A_PASS = 16_384

_SHOWN = 4


class OutsideTrainingRangeWarning(UserWarning):
    """A mesh is unlike those that the model was trained on."""


class Predictor:
    """Predicts the fields of meshes, several small ones in one batch.

    Args:
        surrogate: A trained surrogate, or what :func:`load_surrogate` reads one from.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is such a device; None
            leaves a surrogate where it is, and is ``"auto"`` for one that is loaded.
        batch_size: Meshes in a batch, at most; large ones go alone.
        num_steps: Time steps to predict; as many as in training by default.
        values: Numbers of the whole mesh that are inputs, by name.
        table: CSV file of such numbers, whose first column names the meshes.
        options: Options of the model's source plug-in, if it has one; see
            :mod:`flare_mesh.cases.source_plugins`.

    Raises:
        FileNotFoundError: If the surrogate does not exist.
        ValueError: If an option does not fit the surrogate, or there is no such device.
    """

    def __init__(
        self,
        surrogate: Surrogate | str | Path,
        *,
        device: str | None = None,
        batch_size: int = 8,
        num_steps: int | None = None,
        values: Mapping[str, float] | None = None,
        table: str | Path | None = None,
        **options: Any,
    ) -> None:
        if batch_size < 1:
            raise ValueError(f"batch_size: expected at least 1 (got {batch_size})")
        where = find_device(device) if device is not None else None
        if not isinstance(surrogate, Surrogate):
            surrogate = load_surrogate(surrogate)
            where = find_device("auto") if where is None else where
        self.surrogate = surrogate if where is None else surrogate.to(where)
        self.batch_size = batch_size
        self.num_steps = num_steps
        self.recipe = recipe = CaseRecipe.from_info(
            surrogate.info, surrogate.inputs, surrogate.fields
        )
        if num_steps is not None and (surrogate.rollout is None or num_steps < 1):
            raise ValueError(
                f"num_steps: expected at least 1, for a model that predicts a time series step by "
                f"step (got {num_steps})"
            )
        self._reader = CaseReader(surrogate, recipe, values=values, table=table)
        self._source = build_source(recipe.source, options)

    def read(self, source: MeshSource | Data) -> PredictionCase:
        """Read a mesh, and warn where it is outside of the range of the training data.

        Raises:
            FileNotFoundError: If a file does not exist.
            SourceError: If a source plug-in fails, such as a simulation that does not converge.
            ValueError: If the mesh cannot be used, or lacks an input.
        """
        plugin, reader = self._source, self._reader
        if isinstance(source, MeshSource):
            case = reader.read(source) if plugin is None else plugin.read(source, reader)
        else:
            mesh = source if isinstance(source, MeshData) else MeshData(**source.to_dict())
            if plugin is None:
                case = reader.case("mesh", mesh)
            else:
                case = plugin.case("mesh", mesh, reader)
        try:
            case = replace(case, data=self.surrogate.prepare(case.data))
        except (KeyError, AttributeError, TypeError, IndexError) as error:
            raise ValueError(
                f"{case.name}: the model's features {self.surrogate.features} cannot be made of "
                f"it ({error})"
            ) from error
        self._check(case)
        return case

    def _check(self, case: PredictionCase) -> None:
        surrogate, x = self.surrogate, case.data.x
        channels = 0 if x is None else x.shape[-1]
        if channels != surrogate.x_normalizer.channels:
            raise ValueError(
                f"{case.name}: the model takes {surrogate.x_normalizer.channels} features of a "
                f"node (got {channels}); its inputs are {surrogate.inputs or surrogate.features}"
            )
        if surrogate.training_range is not None:
            names = [
                name if size == 1 else f"{name}, component {i}"
                for name, size in surrogate.inputs.items()
                for i in range(size)
            ]
            found = surrogate.training_range.differences(case.data, names)
            if found:
                shown = found[:_SHOWN]
                if len(found) > len(shown):
                    shown.append(f"and {len(found) - len(shown)} more")
                message = f"{case.name}: outside of the training range: {'; '.join(shown)}"
                warnings.warn(message, OutsideTrainingRangeWarning, stacklevel=3)

    def predict(self, cases: Sequence[PredictionCase]) -> list[Prediction]:
        """Predicts the fields of some meshes in one pass.

        Raises:
            ValueError: If memory does not suffice; says what to change.
        """
        start = time.perf_counter()
        try:
            found = self.surrogate.predict_prepared(
                [case.data for case in cases], num_steps=self.num_steps
            )
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            nodes = sum(len(case.data.pos) for case in cases)
            raise ValueError(
                f"{cases[0].name}: {nodes:,} nodes in a pass do not fit into the memory; lower "
                f"batch_size, take device 'cpu', or a coarser mesh"
            ) from error
        fields = [{name: field.cpu() for name, field in one.items()} for one in found]
        seconds = (time.perf_counter() - start) / len(cases)
        return [
            Prediction.of(self.surrogate, self.recipe, case, predicted, seconds)
            for case, predicted in zip(cases, fields, strict=True)
        ]

    def run(
        self, sources: Iterable[MeshSource], *, skip_bad: bool = False
    ) -> Iterator[tuple[MeshSource, Prediction]]:
        """Predicts one mesh after another, small ones that follow each other in one pass.

        Args:
            sources: The meshes; see :func:`find_sources`.
            skip_bad: Warns of those that cannot be used, and goes on.

        Raises:
            ValueError: If a mesh cannot be used and ``skip_bad`` is not set, or none can be.
        """
        waiting: list[tuple[MeshSource, PredictionCase]] = []
        nodes = bad = 0
        for source in sources:
            try:
                case = self.read(source)
            except (ValueError, OSError) as error:
                if not skip_bad:
                    raise
                warnings.warn(f"left out: {error}", stacklevel=2)
                bad += 1
                continue
            size = len(case.data.pos)
            if waiting and (len(waiting) == self.batch_size or nodes + size > _NODES_OF_A_PASS):
                yield from self._flush(waiting)
                waiting, nodes = [], 0
            waiting.append((source, case))
            nodes += size
        if waiting:
            yield from self._flush(waiting)
        elif bad:
            raise ValueError(f"none of the {bad} meshes can be used")

    def _flush(
        self, waiting: Sequence[tuple[MeshSource, PredictionCase]]
    ) -> Iterator[tuple[MeshSource, Prediction]]:
        found = self.predict([case for _, case in waiting])
        yield from zip((source for source, _ in waiting), found, strict=True)


def predict(
    surrogate: Surrogate | str | Path,
    source: str | Path | Data,
    *,
    device: str | None = None,
    num_steps: int | None = None,
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
        source: A mesh file of any readable format with the fields that the model takes, a time
            series (``.pvd``, XDMF, or a folder of numbered files) for a model of time series, a
            mesh in memory, or a file of the model's source plug-in, such as a CAD part. Fields
            with the name of a predicted field are its truth.
        device: This and the other arguments as in :class:`Predictor`.

    Raises:
        FileNotFoundError: If a file does not exist.
        SourceError: If a source plug-in fails, such as a simulation that does not converge.
        ValueError: If a file cannot be used, lacks an input, or an option does not fit.
    """
    predictor = Predictor(
        surrogate,
        device=device,
        num_steps=num_steps,
        values=values,
        table=table,
        **options,
    )
    if not isinstance(source, Data):
        found = find_sources([source], predictor.recipe)
        if len(found) != 1:
            raise ValueError(
                f"{source}: expected one mesh or time series (got {len(found)}); go through "
                f"Predictor.run for several"
            )
        source = found[0]  # pyright: ignore[reportAssignmentType]
    return predictor.predict([predictor.read(source)])[0]  # pyright: ignore[reportArgumentType]


def _is_out_of_memory(error: BaseException) -> bool:
    told = "out of memory" in str(error) or "can't allocate memory" in str(error)
    return told or isinstance(error, MemoryError)
