"""``flare-mesh predict``: write the predicted fields of mesh files or CAD parts."""

from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from flare_mesh.cases.source_plugins import source_plugins
from flare_mesh.commands.parser import CommandParser

if TYPE_CHECKING:
    from flare_mesh.prediction import Predictor
    from flare_mesh.surrogate import Surrogate


def predict_files(
    model: str,
    input: list[str] | str,
    out: str,
    device: str = "auto",
    batch_size: int = 8,
    precision: str = "32",
    num_steps: int | None = None,
    step: int | None = None,
    values: dict[str, float] | None = None,
    table: str | None = None,
    suffix: str | None = None,
    skip_bad: bool = False,
    follow_links: bool = False,
    ema: bool = False,
    picture: str | None = None,
    trust_code: bool = False,
    **options: Any,
) -> None:
    """Predict the fields of mesh files, time series, or CAD parts.

    A field in a mesh file with the name of a predicted field is its truth: the error is printed,
    and written next to the prediction.

    Args:
        model: Folder or checkpoint (.ckpt) of a run, or a folder with a surrogate.safetensors.
        input: One or several mesh files, or folders of them; for a model of time series a .pvd
            file, a mesh file with several times, or a folder; for a model of CAD parts also
            surfaces (STL and others in mm, 3MF, STEP).
        out: Mesh file to write, such as part.vtu, or a folder for files with the inputs' names.
        device: cpu, cuda, or auto for CUDA if it is available.
        batch_size: Largest number of small meshes in a batch.
        precision: 32, or bf16 for linear layers in bfloat16, which is faster on processors and GPUs
            with instructions for it; fields change by some 1 %.
        num_steps: Time steps to predict; by default as many as in training.
        step: Index of the time step to read of files that have several, -1 for the last; by default
            as in training.
        values: Input numbers for the whole mesh, such as '{"load": 70}'.
        table: CSV file of such numbers, whose first column names the meshes.
        suffix: Suffix of the files in a folder; .vtu by default, .pvd for time series.
        skip_bad: Warn of meshes that cannot be used, and continue.
        follow_links: Follow links out of the input folders.
        ema: Use the averaged weights.
        picture: Picture of the predicted displacement to write, such as part.png.
        trust_code: Accept a model of a class outside flare-mesh; its code is run.
        options: Options of the model's source plug-in.
    """
    from flare_mesh.cases.prediction_files import find_prediction_files
    from flare_mesh.devices import find_device
    from flare_mesh.prediction.outputs import output_paths
    from flare_mesh.surrogate.load import load_surrogate

    find_device(device)
    surrogate = load_surrogate(model, ema=ema, trust_code=trust_code)
    predictor = _build_predictor(
        surrogate,
        options,
        device=device,
        batch_size=batch_size,
        precision=precision,
        num_steps=num_steps,
        step=step,
        values=values,
        table=table,
    )
    paths = [input] if isinstance(input, str) else input
    cases = find_prediction_files(
        paths, predictor.recipe, leave_out=[Path(out)], follow_links=follow_links
    )
    series = predictor.recipe.window is not None
    one_file = len(paths) == 1 and len(cases) == 1
    targets = output_paths(
        out, cases, suffix=suffix or (".pvd" if series else ".vtu"), one_file=one_file
    )
    if picture is not None:
        _check_picture(picture, surrogate.fields, len(cases))

    errors: dict[str, list[float]] = {}
    target_of = dict(zip(cases, targets, strict=True))
    for files, prediction in predictor.run(cases, skip_bad=skip_bad):
        target = target_of[files]
        prediction.save(target)
        for name, error in _report(prediction, target).items():
            errors.setdefault(name, []).append(error)
        if picture is not None:
            _draw(prediction, picture, files.file.name)
    if len(cases) > 1:
        for name, found in errors.items():
            mean = sum(found) / len(found)
            print(f"mean relative L2 error of {name} over {len(found)} meshes: {mean:.4f}")


def _build_predictor(
    surrogate: "Surrogate", options: Mapping[str, Any], **arguments: Any
) -> "Predictor":
    """Build the predictor; ``predict_files`` has no call with ``**options``.

    The command line's parser would look for parameters in the called class, and import it.
    """
    from flare_mesh.prediction import Predictor

    if options:
        defaults = {
            option.name: option.default
            for plugin in source_plugins().values()
            for option in fields(plugin)  # pyright: ignore[reportArgumentType]
        }
        options = {key: value for key, value in options.items() if value != defaults.get(key)}
    return Predictor(surrogate, **arguments, **options)


def add_options(parser: CommandParser) -> None:
    """Add the options of the installed source plug-ins to the command's own."""
    for plugin in source_plugins().values():
        known: set[str | int] = {action.dest for action in parser._actions}
        parser.add_class_arguments(plugin, as_group=False, skip=known)


def _speed(seconds: float, other: float) -> str:
    """Compare a time with another one: "12 times faster", "1.8 times slower"."""
    ratio, word = (other / seconds, "faster") if other >= seconds else (seconds / other, "slower")
    return f"{ratio:.0f} times {word}" if ratio >= 10 else f"{ratio:.1f} times {word}"


def _report(prediction: Any, target: Path) -> dict[str, float]:
    seconds = prediction.predict_seconds
    places = "cells" if prediction.on_cells else "nodes"
    print(f"predicted {prediction.num_points:,} {places} in {seconds:.3f} s: {target}")
    if prediction.simulate_seconds is not None:
        print(
            f"simulated them in {prediction.simulate_seconds:.3f} s; the prediction is "
            f"{_speed(seconds, prediction.simulate_seconds)}"
        )
    if prediction.ood_score is not None:
        score = f"{prediction.ood_score:.2f}"
        print(f"unlikeness to the training cases: {score} (of known cases at most 1)")
    for name, band in prediction.band.items():
        unit = prediction.units.get(name)
        print(
            f"{prediction.coverage:.0%} band of {name}: +/- {float(band.nanmean()):.4g}"
            f"{'' if unit is None else f' {unit}'} in the mean over the {places}"
        )
    for name, error in prediction.relative_l2.items():
        print(f"relative L2 error of {name}: {error:.3f}")
    return prediction.relative_l2


def _check_picture(picture: str, fields: dict[str, int], count: int) -> None:
    from flare_mesh.files import check_folder

    if Path(picture).suffix.lower() != ".png":
        raise ValueError(f"{picture}: expected a file name that ends in .png")
    check_folder(picture)
    if fields.get("displacement") != 3:
        raise ValueError(
            f"{picture}: expected a model that predicts 'displacement' (got {[*fields]}); leave "
            f"out picture"
        )
    if count > 1:
        raise ValueError(f"{picture}: expected one mesh for a picture (got {count})")


def _draw(prediction: Any, picture: str, title: str) -> None:
    from flare_mesh.visualize import plot_distortion

    plot_distortion(
        prediction.mesh,
        prediction.predicted["displacement"],
        prediction.truth.get("displacement"),
        path=picture,
        title=title,
        band=prediction.band.get("displacement"),
        note="unlike the training cases" if prediction.is_unlike else "",
    )
    print(f"picture: {picture}")
