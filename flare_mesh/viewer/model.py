"""The surrogate that predicts what is uploaded."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from flare_mesh.cases.recipe import CaseRecipe
from flare_mesh.cases.source_plugins import CompensatingPlugin, find_source_plugin
from flare_mesh.prediction.predictor import DISPLACEMENT
from flare_mesh.surrogate.load import load_surrogate


@dataclass(frozen=True)
class ViewModel:
    """What a viewer knows of a surrogate, which its child processes load.

    Attributes:
        path: Folder of the run or surrogate.
        trust_code: Whether it may name a model outside this package.
        part_suffixes: Suffixes of the parts that its source plug-in reads besides mesh files.
        simulates: Whether a part can be simulated too.
        compensates: Whether the surface of a part can be compensated.
    """

    path: Path
    trust_code: bool = False
    part_suffixes: tuple[str, ...] = ()
    simulates: bool = False
    compensates: bool = False


def describe_model(path: str | Path, *, trust_code: bool = False) -> ViewModel:
    """Find out what a surrogate can do with an uploaded file.

    Raises:
        FileNotFoundError: If there is no surrogate.
        ValueError: If it cannot be loaded, or needs more than one file.
    """
    surrogate = load_surrogate(path, trust_code=trust_code)
    recipe = CaseRecipe.from_info(surrogate.info, surrogate.inputs, surrogate.fields)
    if recipe.window is not None:
        raise ValueError(
            f"{path}: expected a model that predicts from one mesh or part (got one of time "
            f"series); leave out --model, and view what 'flare-mesh predict' writes"
        )
    if not recipe.source:
        return ViewModel(Path(path), trust_code)
    plugin: Any = find_source_plugin(recipe.source)
    return ViewModel(
        Path(path),
        trust_code,
        tuple(plugin.suffixes),
        "simulate" in {option.name for option in fields(plugin)},
        isinstance(plugin(), CompensatingPlugin) and DISPLACEMENT in surrogate.fields,
    )
