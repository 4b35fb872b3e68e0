"""From mesh files or CAD parts to predicted fields, beside the truth where it is known."""

import time
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from torch_geometric.data import Data

from flare_mesh.cases.case_reader import CaseReader, PredictionCase
from flare_mesh.cases.mesh_reading import MeshReading
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
    """Predicts the fields of meshes, several small ones in a pass.

    Args:
        surrogate: A trained surrogate, or what :func:`load_surrogate` reads one from.
        device: ``"cpu"``, ``"cuda"``, or ``"auto"`` for CUDA where there is such a device; None
            leaves a surrogate where it is, and is ``"auto"`` for one that is loaded.
        batch_size: Meshes in a pass, at most; large ones go alone.
        num_steps: Steps to go through a time series; as many as in training by default.
        values: Numbers of the whole mesh that are inputs, by name.
        table: CSV file of such numbers, whose first column names the meshes.
        pitch: For LPBF: voxel edge of a part in mm; None takes that of the training data.
        simulate: For LPBF: simulates a part as well, by the process of the training data.
        islands: For LPBF: ``"drop"`` or ``"refuse"`` voxels that nothing holds, or hold them by
            ``"powder"``; None takes powder if the training data had it, else drops.

    Raises:
        FileNotFoundError: If there is no surrogate.
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
        pitch: float | None = None,
        simulate: bool = False,
        islands: str | None = None,
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
        self.reading = reading = MeshReading.of_info(surrogate.info, surrogate.inputs)
        if num_steps is not None and (surrogate.rollout is None or num_steps < 1):
            raise ValueError(
                f"num_steps: expected at least 1, for a model that goes through a time series step "
                f"by step (got {num_steps})"
            )
        if reading.dataset == "lpbf":
            from lpbf.surrogate.parts import PartReader

            reader = CaseReader(surrogate, reading, values=values, table=table)
            self._reader = PartReader(reader, pitch=pitch, simulate=simulate, islands=islands)
        elif pitch is not None or simulate or islands is not None:
            raise ValueError(
                f"pitch, simulate and islands are for models of LPBF parts (this one was trained "
                f"on '{reading.dataset}')"
            )
        else:
            self._reader = CaseReader(surrogate, reading, values=values, table=table)

    def read(self, source: MeshSource | Data) -> PredictionCase:
        """Reads a mesh, and warns where it lies outside of the range of the training data.

        Raises:
            FileNotFoundError: If a file does not exist.
            SolverError: If a simulation does not converge.
            ValueError: If the mesh cannot be used, or lacks an input.
        """
        if isinstance(source, MeshSource):
            case = self._reader.read(source)
        else:
            mesh = source if isinstance(source, MeshData) else MeshData(**source.to_dict())
            case = self._reader.case("mesh", mesh)
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
            Prediction.of(self.surrogate, self.reading, case, predicted, seconds)
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
    pitch: float | None = None,
    simulate: bool = False,
    islands: str | None = None,
) -> Prediction:
    """Predicts the fields of a mesh, or of a CAD part::

        prediction = predict("runs/lpbf", "bracket.stl")
        prediction.save("bracket.vtu")

    Args:
        surrogate: A trained surrogate, or a run's folder or checkpoint; see
            :func:`load_surrogate`.
        source: A mesh file of any readable format with the fields that the model takes, a time
            series (``.pvd``, XDMF, or a folder of numbered files) for a model of time series, a
            mesh in memory, or for a model of LPBF parts a surface in mm, which is voxelised.
            Fields that bear a predicted field's name are its truth.
        device: This and the other arguments as in :class:`Predictor`.

    Raises:
        FileNotFoundError: If a file does not exist.
        SolverError: If a simulation does not converge.
        ValueError: If a file cannot be used, lacks an input, or an option does not fit.
    """
    predictor = Predictor(
        surrogate,
        device=device,
        num_steps=num_steps,
        values=values,
        table=table,
        pitch=pitch,
        simulate=simulate,
        islands=islands,
    )
    if not isinstance(source, Data):
        found = find_sources([source], predictor.reading)
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
