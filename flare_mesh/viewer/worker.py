"""Child process of the viewer, which reads, predicts and simulates an uploaded file.

The request is a JSON object in the first line of the standard input, and the events are JSON
objects in lines of the standard output. Whatever a file makes a reader or a simulation do ends with
this process, which also ends when its input is closed.
"""

import json
import os
import sys
import threading
import warnings
from collections.abc import Mapping
from typing import Any, TextIO

from flare_mesh.files import error_text


def work(request: Mapping[str, Any], out: TextIO) -> None:
    """Write the prediction of a file, or the file itself as ``.vtu``, and tell the events.

    Args:
        request: ``file``; ``fields``, the file to write; ``model``, if the file is to be predicted;
            ``simulate``, whether its truth is simulated too; ``compensated``, the surface to write,
            or None; ``trust_code``.
        out: Stream of the events: ``{"progress": [done, total, text]}``, ``{"warning": text}``,
            ``{"fields": true}`` and ``{"compensated": true}`` when a file is written, and at the
            end ``{"done": true}`` or ``{"error": text}``.
    """

    def tell(**event: Any) -> None:
        out.write(json.dumps(event) + "\n")
        out.flush()

    with warnings.catch_warnings():
        warnings.showwarning = lambda message, *_, **__: tell(warning=str(message))
        try:
            if request["model"] is None:
                _convert(request)
                tell(fields=True)
            else:
                _predict(request, tell)
            tell(done=True)
        except Exception as error:  # whatever a library says of a file is told in one line
            name, text = str(request["file"]), " ".join(error_text(error).split())
            tell(error=text.replace(name, str(request["name"])) or type(error).__name__)


def _convert(request: Mapping[str, Any]) -> None:
    from flare_mesh.io import read_mesh, write_mesh

    write_mesh(request["fields"], read_mesh(request["file"], dtype=None, edges=False))


def _predict(request: Mapping[str, Any], tell: Any) -> None:
    from flare_mesh.cases.prediction_files import find_prediction_files
    from flare_mesh.prediction import Predictor
    from flare_mesh.surrogate.load import load_surrogate

    tell(progress=[0, 0, "loading the model"])
    surrogate = load_surrogate(request["model"], trust_code=request["trust_code"])
    options: dict[str, Any] = {"simulate": True} if request["simulate"] else {}
    predictor = Predictor(
        surrogate,
        device="auto",
        on_progress=lambda done, total, text: tell(progress=[done, total, text]),
        **options,
    )
    (files,) = find_prediction_files([request["file"]], predictor.recipe)
    tell(progress=[0, 0, "reading the file"])
    case = predictor.read(files)
    tell(progress=[0, 0, "predicting"])
    (prediction,) = predictor.predict([case])
    prediction.save(request["fields"])
    tell(fields=True)
    if request["compensated"] is not None:
        tell(progress=[0, 0, "compensating the surface"])
        predictor.compensate(request["file"], prediction, request["compensated"])
        tell(compensated=True)


def main() -> int:
    """Read the request, and work until it is done or the input is closed."""
    request = json.loads(sys.stdin.readline())
    events = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no event

    def watch() -> None:
        sys.stdin.read()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    work(request, events)
    return 0


if __name__ == "__main__":
    sys.exit(main())
