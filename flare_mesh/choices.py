"""Clear errors."""

import difflib
from collections.abc import Collection, Iterable

_MOST = 40  # names in a message


def check_choice(what: str, value: object, choices: Collection[str]) -> None:
    """Refuse a value that is not among the choices.

    Args:
        what: Beginning of the message, such as "Darcy: unknown split".
        value: The value given.
        choices: The known values.

    Raises:
        ValueError: If the value is unknown; names the nearest choice, or all of them.
    """
    if value not in [*choices]:
        raise ValueError(f"{what} '{value}'; {nearest(value, choices)}")


def check_options(what: str, options: Iterable[object], known: Collection[str]) -> None:
    """Refuse options of ``what``, such as "the transform 'random_nodes'", that are unknown.

    Raises:
        ValueError: If an option is unknown; names the nearest one, or all of them.
    """
    for option in options:
        check_choice(f"{what} has no option", option, known)


def nearest(name: object, known: Iterable[str]) -> str:
    """Advice for an unknown name: the nearest known one, or all of them."""
    known = sorted(known)
    # MeshFolder, mesh-folder and mesh_folder count as the same name.
    plain = {_plain(one): one for one in known}
    near = difflib.get_close_matches(_plain(name), plain, 1)
    if near:
        return f"did you mean '{plain[near[0]]}'?"
    more = f" and {len(known) - _MOST} others" if len(known) > _MOST else ""
    return f"choose from {known[:_MOST]}{more}"


def _plain(name: object) -> str:
    return str(name).lower().replace("_", "").replace("-", "")


def clip(text: object, limit: int = 500) -> str:
    """A text of at most ``limit`` characters, for messages about files that may hold anything."""
    whole = str(text)
    return whole if len(whole) <= limit else f"{whole[: limit - 4]} ..."
