"""Reader of mutated files, in a process of its own: ``python -m tests.fuzz.worker``.

Each line on the standard input is a JSON object with a ``target`` and the ``path`` of a file; each
line on the standard output says what the reader did with it.
"""

import json
import os
import sys
import traceback
import warnings
from pathlib import Path
from typing import Any

from flare_mesh.io import MeshFileWarning
from lpbf import PartWarning
from tests.fuzz.targets import TARGETS

# Refusals that a user understands; anything else is a fault of the reader.
_REFUSALS = (ValueError, OSError)
_MAX_MESSAGE = 2000
_NEVER = {
    *("os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn", "subprocess.Popen"),
    *("socket.connect", "socket.getaddrinfo", "urllib.Request", "pickle.find_class"),
}
_events: list[str] = []


def _watch(event: str, args: tuple[Any, ...]) -> None:
    """Note what a file must never make us do: start programs, open connections, unpickle."""
    if event in _NEVER and "reader_process" not in str(args):
        _events.append(f"{event} {args!r:.200}")


def _read(target: str, path: Path) -> dict[str, Any]:
    _events.clear()
    outcome: dict[str, Any]
    with warnings.catch_warnings(record=True) as given:
        warnings.simplefilter("always", MeshFileWarning)
        warnings.simplefilter("always", PartWarning)
        try:
            outcome = {"kind": "accepted", "digest": TARGETS[target].read(path)}
        except _REFUSALS as error:
            text = str(error)
            whole = text and "\n" not in text.strip() and len(text) < _MAX_MESSAGE
            if isinstance(error, UnicodeError) or not whole:
                outcome = {"kind": "unclear", "text": repr(error)[:500]}
            else:
                outcome = {"kind": "refused", "text": text}
        except BaseException as error:
            where = traceback.format_tb(error.__traceback__)[-1].strip()
            outcome = {"kind": "traceback", "text": f"{error!r:.300} at {where:.300}"}
    return outcome | {"events": [*_events], "warned": len(given)}


def main() -> None:
    """Answer requests until the input ends."""
    # Libraries print to the standard output.
    answers = os.fdopen(os.dup(1), "w")
    quiet = os.open(os.devnull, os.O_WRONLY)
    os.dup2(quiet, 1)
    os.dup2(quiet, 2)
    sys.addaudithook(_watch)
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        answers.write(json.dumps(_read(request["target"], Path(request["path"]))) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
