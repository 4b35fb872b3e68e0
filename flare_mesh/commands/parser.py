"""Parser of the commands that are plain functions, and one-line messages of all parsers."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from jsonargparse import ActionConfigFile, ActionYesNo, ArgumentParser  # pyright: ignore[reportPrivateImportUsage]

from flare_mesh.commands.class_paths import limited_imports, refusal
from flare_mesh.commands.option_check import (
    check_argument_values,
    check_arguments,
    check_config_file,
    option_values,
)

SWITCH = ActionYesNo(no_prefix="no-")
"""Action of a boolean option: ``--simulate`` switches it on, ``--no-simulate`` off."""


COMMAND_LINE_ONLY = {"trust_config", "trust_code"}
"""Options that a file cannot have."""


class CommandParser(ArgumentParser):
    """Parser of ``flare-mesh COMMAND`` with the parameters of a function as options.

    A parameter ``skip_bad: bool``, or ``bool | None`` with the default None, becomes the switches
    ``--skip-bad`` and ``--no-skip-bad``. More options can be added in the same style, by
    ``add_argument`` or ``add_class_arguments``. Options may also be written with underscores, as in
    a configuration file.

    Args:
        command: Name of the command.
        function: Function whose annotated parameters and docstring describe the options.
    """

    def __init__(self, command: str, function: Callable[..., Any]) -> None:
        super().__init__(
            prog=f"flare-mesh {command}", print_config="--print-config", exit_on_error=False
        )
        self.add_argument("--config", action=ActionConfigFile, help="YAML file with options.")
        self.add_function_arguments(function, as_group=False)

    def add_argument(self, *names: str, **options: Any) -> Any:
        names = tuple(name.replace("_", "-") for name in names)
        if options.get("type") is bool:
            options = {**options, "action": SWITCH}
            del options["type"]
        elif getattr(options.get("action"), "_typehint", None) == bool | None:
            options = {**options, "action": SWITCH}
        return super().add_argument(*names, **options)

    def knows(self, args: Sequence[str]) -> bool:
        """Whether each option of a command line is one of the command's own.

        Not so for help, which lists all options, and for a configuration file, which may have any.
        """
        names = {name for action in self._actions for name in action.option_strings}
        known = names - {"-h", "--help", "--config", "--print-config"}
        given = (_with_dashes(arg).partition("=")[0] for arg in args if arg.startswith("-"))
        return all(name in known for name in given)

    def parse(self, args: Sequence[str]) -> dict[str, Any]:
        """Values of the options that differ from their defaults, by parameter name.

        Raises:
            ValueError: If an option is unknown.
            ArgumentError: If a value has another type, or a required option is missing.
        """
        args = [_with_dashes(arg) for arg in args]
        names = (name for action in self._actions for name in action.option_strings)
        check_arguments(args, {name.removeprefix("--") for name in names})
        check_argument_values(args)
        known = {action.dest for action in self._actions} - {"config", *COMMAND_LINE_ONLY}
        for name, value in option_values(args):
            if name == "config":
                check_config_file(value, known)
        with limited_imports():
            values, defaults = self.parse_args(args).as_dict(), self.get_defaults().as_dict()
        return {
            name: value
            for name, value in values.items()
            if name != "config" and value != defaults[name]
        }


def _with_dashes(arg: str) -> str:
    name = re.match(r"--[\w-]+", arg)
    return arg if name is None else name[0].replace("_", "-") + arg[name.end() :]


def one_line(message: str) -> str:
    """A message of jsonargparse in one line.

    For a union of types, jsonargparse lists why each of them refuses the value, and then the types
    and the value. A reason from within a class, such as an unknown option, says most; without one,
    all reasons are given.
    """
    place = re.match(r'\s*Parser key "(.+?)":', message)
    denied = re.search(r"Importing '([\w.]+)' is not allowed", message)
    if denied is not None:
        return f"{'' if place is None else f'{place[1]}: '}{refusal(denied[1])}"
    union = re.search(r"Errors:\n(.+)\n *Given value type.+Given value: (.*)", message, re.DOTALL)
    if union is not None:
        reasons = [
            text for text in re.split(r"\n? +- ", union[1]) if text and "NoneType" not in text
        ]
        specific = [text for text in reasons if not text.startswith("Expected")]
        found = specific[0] if specific else f"{' or '.join(reasons)} (got {union[2]})"
        message = f"{place[1]}: {found}" if place is not None else found
    for pattern, text in (
        (r'Parser key "(.+?)":', r"\1:"),
        (r"<class '(?:\w+\.)*(\w+)'>", r"\1"),
        (r"typing\.Literal(\[.*?\])", r"one of \1"),
        (r" or Expected (an? )?", " or "),
        (r"Expected (an? )?", "expected "),
        (r"\. Got value: (.*)", r" (got \1)"),
    ):
        message = re.sub(pattern, text, message)
    return " ".join(message.split())
