"""The command line, ``flare-mesh``."""

import json
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path

from flare_mesh.choices import check_choice
from flare_mesh.files import error_text

_TRAINING = ("fit", "validate", "test")
_COMMANDS = {
    "init": "look at a folder of results, and write a configuration for it",
    "fit": "train and test by a configuration, and save the surrogate",
    "validate": "compute the errors of a checkpoint on the validation cases",
    "test": "compute the errors of a checkpoint on the test cases",
    "predict": "predict the fields of mesh files or CAD parts",
    "plot": "draw a field of a mesh file, a comparison, or a series",
    "report": "write a run or predictions as one HTML file with tables, charts and pictures",
    "view": "show runs, predictions or mesh files in the browser",
    "benchmark": "train several models on one data set under one budget",
    "models": "list the models and mixing layers",
    "export": "write a trained model as ONNX or as a program of torch.export",
}

_WITHOUT_TRAINING = ("init", "predict", "plot", "view")
"""Commands that never need torch's compiler."""
_FUNCTIONS = {
    "predict": "predict_files",
    "plot": "plot_file",
    "report": "make_report",
    "view": "view_files",
    "models": "list_models",
}
"""Functions with another name than their command. The parser looks in all packages above a function
for one of the same name: it would import ``flare_mesh.predict``."""
_FIRST = {"init": "--folder", "plot": "--file", "report": "--source", "view": "--source"}
"""Option of a command that its first argument can be without a name."""
_MAX_MESSAGE = 1500
_TRUST_CONFIG = ("--trust-config", "--trust_config")
_TRUST_CODE = ("--trust-code", "--trust_code")
"""Options that no file can have, so that a run's folder cannot ask for trust."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, and return its exit code.

    The code is 0, 2 for bad input, 130 for Ctrl-C, and 143 if SIGTERM ended a training.
    """
    args = list(sys.argv[1:] if argv is None else argv)
    if not args or args[0] in ("-h", "--help"):
        print("usage: flare-mesh COMMAND [OPTIONS]; COMMAND --help lists its options\n")
        print("\n".join(f"  {name:<10} {text}" for name, text in _COMMANDS.items()))
        return 0 if args else 2
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        return _run(args[0], args[1:])


def _run(command: str, args: list[str]) -> int:
    from jsonargparse import ArgumentError

    from flare_mesh.cases.source_plugins import SourceError
    from flare_mesh.commands.parser import one_line
    from flare_mesh.training.interrupted import InterruptedTraining

    try:
        check_choice("unknown command", command, _COMMANDS)
        trust_config, trust_code = (
            any(arg in names for arg in args) for names in (_TRUST_CONFIG, _TRUST_CODE)
        )
        if trust_code and "" not in sys.path:
            # Classes in the working folder are found, after those of installed packages.
            sys.path.append(str(Path.cwd()))
        if command in _TRAINING:
            given = [arg for arg in args if arg not in _TRUST_CONFIG + _TRUST_CODE]
            given = [command, *_expand(command, given)]
            _train(given, trust_config=trust_config, trust_code=trust_code)
        else:
            _call(command, args)
    except (ValueError, OSError, SourceError, ImportError, ArgumentError) as error:
        text = error_text(error)
        # The parser raises a ValueError when it builds a class from options.
        if isinstance(error, ArgumentError) or "Union subtypes" in text:
            text = one_line(text)
        if len(text) > _MAX_MESSAGE:  # has the value of an option in it
            text = f"{text[:_MAX_MESSAGE]} ..."
        print(f"error: {text}", file=sys.stderr)
        return 2
    except (RuntimeError, MemoryError) as error:
        from flare_mesh.devices import is_out_of_memory

        if not is_out_of_memory(error):
            raise
        print(f"error: out of memory ({_first_line(error)}); {_LESS_MEMORY}", file=sys.stderr)
        return 2
    except InterruptedTraining as stopped:
        print(f"interrupted: {stopped}; continue by --resume", file=sys.stderr)
        return stopped.exit_code
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    except SystemExit as stop:  # raised by Lightning after a second Ctrl-C, or SIGTERM
        code = _code_of_signal(stop)
        if code is None:
            raise
        print("interrupted at once; continue by --resume", file=sys.stderr)
        return code
    return 0


def _code_of_signal(stop: SystemExit) -> int | None:
    """Exit code after a signal on which Lightning raised ``stop``; its own is 0 or 1."""
    if isinstance(stop.__context__, KeyboardInterrupt):
        return 130
    if "lightning" in sys.modules:
        from lightning.pytorch.utilities.exceptions import SIGTERMException

        if isinstance(stop, SIGTERMException):
            return 143
    return None


def _train(args: list[str], *, trust_config: bool, trust_code: bool) -> None:
    from lightning.fabric.utilities.exceptions import MisconfigurationException

    from flare_mesh.commands.training_kind import is_of_sequences
    from flare_mesh.trusted_classes import trusting_code

    if is_of_sequences(args[1:]):
        from flare_mesh.commands.train_sequences import SequenceCLI as Command
    else:
        from flare_mesh.commands.train import FieldCLI as Command
    try:
        with trusting_code(trust_code):
            Command(args, trust_config=trust_config)
    except MisconfigurationException as error:  # about the trainer's options
        raise ValueError(" ".join(str(error).split())) from error


_LESS_MEMORY = (
    "lower data.batch_size or data.max_nodes, draw fewer nodes (data.augment: random_nodes), set "
    "model.options.checkpointing=true, or trainer.precision=bf16-mixed"
)


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]


def _call(command: str, args: list[str]) -> None:
    """Run a command that is a plain function."""
    from importlib import import_module

    from flare_mesh.commands.light_imports import import_graphs_only
    from flare_mesh.commands.parser import CommandParser

    module = import_module(f"flare_mesh.commands.{command}")
    function = getattr(module, _FUNCTIONS.get(command, command))
    parser = CommandParser(command, function)
    args = _lists(_named_first(command, args))
    if hasattr(module, "add_options") and not parser.knows(args):
        module.add_options(parser)
    options = parser.parse(args)
    if command in _WITHOUT_TRAINING:
        import_graphs_only()
    function(**options)


def _named_first(command: str, args: list[str]) -> list[str]:
    """Name the first argument of a command that can be given without a name."""
    if command in _FIRST and args and not args[0].startswith("-"):
        return [_FIRST[command], *args]
    return args


def _lists(args: list[str]) -> list[str]:
    """Write several values of an option, as a shell's ``*`` passes them, as one list."""
    out: list[str] = []
    values: list[str] = []
    for arg in [*args, "--"]:
        if not arg.startswith("--"):
            values.append(arg)
            continue
        out += [json.dumps(values)] if len(values) > 1 else values
        out, values = [*out, arg], []
    return out[:-1]


def _expand(command: str, args: list[str]) -> list[str]:
    """Replace ``--run FOLDER``, ``--resume FOLDER`` and names of configurations by options."""
    from flare_mesh.commands.named_config import chosen_config

    out: list[str] = []
    named: Path | None = None
    position = 0
    while position < len(args):
        name, equals, value = args[position].partition("=")
        if name in ("--run", "--resume", "--config", "-c") and not equals:
            position += 1
            if position == len(args):
                raise ValueError(f"{name}: expected a value after it")
            value = args[position]
        position += 1
        if name == "--run" or (name == "--resume" and command == "fit"):
            folder = Path(value)
            if not (folder / "config.yaml").is_file():
                raise FileNotFoundError(f"{folder}: no run in this folder (no config.yaml)")
            out += ["--config", str(folder / "config.yaml")]
            named = folder
            if name == "--resume":
                out += ["--ckpt_path", "last"]
        elif name in ("--config", "-c"):
            out += ["--config", str(chosen_config(value))]
        else:
            out.append(args[position - 1])
    if named is not None:
        if any(arg.partition("=")[0] == "--out" for arg in args):
            raise ValueError("--out: the folder is given by --run or --resume; leave out --out")
        out += ["--out", str(named)]  # also over a configuration's
    return out


def _show_warning(message, category, filename, lineno, file=None, line=None) -> None:
    """Print a warning in one line, without the place in the code."""
    print(f"warning: {message}", file=file or sys.stderr)
