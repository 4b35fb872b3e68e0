"""Training module from a configuration."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.data.transforms import RandomSquareSymmetry
from flare_mesh.data.transforms.resolver import TransformSpec, build_transform
from flare_mesh.models import Backbone, FieldModel, FLAREOperator, build
from flare_mesh.models.registry import check_model_options, model_class
from flare_mesh.nn.mixer import check_mixer
from flare_mesh.surrogate.load import load_surrogate
from flare_mesh.surrogate.rollout import Rollout
from flare_mesh.surrogate.surrogate import NORMALIZED, Surrogate
from flare_mesh.training.checkpoint_check import describe_differences
from flare_mesh.training.losses import LossConfig
from flare_mesh.training.module import FieldModule
from flare_mesh.training.optimizers import OptimizerConfig
from flare_mesh.training.schedules import ScheduleConfig
from flare_mesh.training.sizes import SIZES, SizeName, size_options
from flare_mesh.training.unroll import RolloutConfig

if TYPE_CHECKING:
    ModelName = str | type[FieldModel]
else:
    ModelName = str  # the parser would import what a configuration gives for a class


def build_module(
    data: Any = None,
    name: ModelName = "flare",
    *,
    size: SizeName | None = None,
    options: dict[str, Any] | None = None,
    normalizers: dict[str, Any] | None = None,
    scale_by: dict[str, str | list[str]] | None = None,
    drop_scales: bool = False,
    loss: LossConfig = LossConfig(),  # noqa: B008
    optimizer: OptimizerConfig = OptimizerConfig(),  # noqa: B008
    schedule: ScheduleConfig = ScheduleConfig(),  # noqa: B008
    ema: float | None = None,
    rollout: RolloutConfig | None = None,
    average_symmetries: bool = False,
    weights: str | None = None,
    compile: bool = False,
    shards: int = 1,
    seed: int = 0,
) -> FieldModule:
    """Training module of a model by name, with the channels of some data.

    Args:
        data: A :class:`FieldDataModule`, or the :class:`~flare_mesh.cases.CaseRecipe` of some
            cases; the command line passes its own ``data``.
        name: One of :data:`flare_mesh.models.MODELS`, or the import path of a model of your own,
            package.module:Class, with --trust-code; in Python also the class.
        size: Size of the model ``flare`` by name; ``options`` that are given have priority. With a
            time budget, ``fit`` chooses one for ``auto``: the largest of which enough steps fit.
        options: Options of the model beside its channels, such as ``num_latents``.
        normalizers: Normalisers of ``pos``, ``x`` and ``y``: ``unit_gaussian`` (the default),
            ``unit_cube``, ``identity``, ``log``, ``signed_root``, or a mapping of ``name`` and
            options.
        scale_by: Scale of each case by which a target is divided: name of an input that is constant
            over each case, ``power_law`` of such inputs, or a list of these; none by default.
        drop_scales: Hide the inputs in ``scale_by`` from the model, so that its prediction is
            exactly proportional to them.
        loss: Loss to minimise.
        optimizer: Optimiser and its options.
        schedule: Schedule of the learning rate.
        ema: Decay of an exponential moving average of the weights, such as 0.999; none by default.
        rollout: Predict a time series step by step, each from the steps before; by default all
            steps at once.
        weights: Folder or checkpoint of a run, or folder of a surrogate, whose weights and
            normalisers training starts from; its model must be the same.
        compile: Compile the model by ``torch.compile``.
        shards: Number of processes that share the nodes of each mesh.
        seed: Seed of dropout and noise.

    Raises:
        ValueError: If an option is unknown, or the model does not fit the data.
    """
    check_model(name, options or {}, size)
    if size == "auto":
        raise ValueError(
            f"model.size: 'auto' is chosen by 'flare-mesh fit' for a time budget; set budget, or "
            f"one of {', '.join(SIZES)}"
        )
    sized = size_options(name, size)
    if (options or {}).get("mixer") not in (None, "flare"):  # which has options of its own, if any
        ours = ("heads", "num_latents", "kv_layers", "queries")
        sized = {key: value for key, value in sized.items() if key not in ours}
    options = sized | (options or {})
    recipe = data if isinstance(data, CaseRecipe) else data.recipe()
    has_history = options.get("history") is not None
    series = _rollout(recipe, rollout, has_history)
    step = recipe.targets if series is None else series.step_fields
    found = {
        "pos_dim": recipe.pos_dim,
        "in_channels": recipe.in_channels - (series.hidden_channels if series else 0),
        "out_channels": sum(step.values()),
    }
    for key, value in found.items():
        if options.pop(key, value) != value:
            raise ValueError(
                f"model.options.{key}: the data set '{recipe.dataset}' has {value}; leave it out"
            )
    try:
        model = build(name, **found, **options)
    except TypeError as error:
        raise ValueError(f"model.options {options}: {error}") from error
    grid = model.config.get("grid_shape")
    if grid is not None and recipe.grid_shape not in (None, tuple(grid)):
        raise ValueError(
            f"model.options.grid_shape: the data set '{recipe.dataset}' has grids of "
            f"{list(recipe.grid_shape or ())} nodes (got {grid})"
        )
    symmetry = None
    if average_symmetries:
        symmetry = _square_symmetry([] if isinstance(data, CaseRecipe) else data.augment)
    surrogate = Surrogate(
        model,
        recipe.targets,
        inputs=recipe.model_inputs,
        units=recipe.units,
        features=recipe.features,
        normalizers=normalizers,
        scale_by=scale_by,
        drop_scales=drop_scales,
        rollout=series,
        square_symmetry=symmetry,
        info={**recipe.info, "recipe": recipe.to_dict()},
    )
    if weights is not None:
        _start_from(surrogate, weights)
    return FieldModule(
        surrogate,
        loss=loss,
        optimizer=optimizer,
        schedule=schedule,
        ema=ema,
        rollout=rollout,
        grid_shape=recipe.grid_shape,
        compile=compile,
        shards=shards,
        seed=seed,
    )


def _square_symmetry(augment: Sequence[TransformSpec]) -> dict[str, Any]:
    """The columns that the augmentation changes, as ``square_symmetry`` of a surrogate."""
    for transform in map(build_transform, augment):
        if isinstance(transform, RandomSquareSymmetry):
            columns = {"vectors": transform.vectors, "sizes": transform.sizes}
            return {
                option: {key: [*firsts] for key, firsts in given.items() if key in NORMALIZED}
                for option, given in columns.items()
            }
    raise ValueError(
        f"model.average_symmetries: expected random_square_symmetry in data.augment, whose "
        f"symmetries are averaged (got {[*augment]}); add it if rotations by 90 degrees and "
        f"reflections give valid cases, or leave out average_symmetries"
    )


def _start_from(surrogate: Surrogate, weights: str) -> None:
    given = load_surrogate(weights)
    found = describe_differences(surrogate.header(), given.header())
    if found:
        raise ValueError(f"model.weights: {weights} is of another model ({'; '.join(found)})")
    surrogate.load_state_dict(given.state_dict())
    surrogate.training_range = given.training_range


def check_model(name: ModelName, options: Mapping[str, Any], size: str | None = None) -> None:
    """Check a model's name, its size, its options' names and mixer, before any data are opened.

    Raises:
        ValueError: If one is unknown; names the nearest.
    """
    size_options(name, "small" if size == "auto" else size)
    found = model_class(name)
    try:
        check_model_options(found, {*options} - {"in_channels", "out_channels"})
        mixer = options.get("mixer")
        if issubclass(found, Backbone | FLAREOperator) and mixer is not None:
            check_mixer(mixer)
    except ValueError as error:
        raise ValueError(f"model.options: {error}") from error


def _rollout(recipe: CaseRecipe, config: RolloutConfig | None, has_history: bool) -> Rollout | None:
    if config is None:
        if has_history:
            raise ValueError(
                "model.options.history: expected model.rollout, whose steps have a history (got "
                "none); set model.rollout={}, or leave out history"
            )
        return None
    if recipe.window is None:
        raise ValueError(
            f"model.rollout: the data set '{recipe.dataset}' has no time series; leave it out, "
            f"or set data.options.window=[n_in, n_out]"
        )
    given = {name: getattr(config, name) for name in ("input_steps", "truncate")}
    for name, steps in given.items():
        if steps is not None and not has_history:
            raise ValueError(
                f"model.rollout.{name}: expected a model with a history (got {steps} without); "
                f"set model.options.history, or leave it out"
            )
    seen = (config.input_steps or 1) if has_history else None
    return Rollout(recipe.model_inputs, recipe.targets, *recipe.window, seen)
