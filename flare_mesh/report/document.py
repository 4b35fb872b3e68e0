"""A report as one HTML file that loads nothing and runs no script but its own."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from flare_mesh._version import __version__
from flare_mesh.files import check_folder, write_text
from flare_mesh.report.html import Html, tag

GENERATOR = "flare-mesh report"
"""Mark of the files that reports are, by which a new one may replace them."""

_HEAD = 4096


class Section(NamedTuple):
    """A part of a report.

    Attributes:
        title: Its headline.
        parts: Its elements.
    """

    title: str
    parts: Sequence[Html]


def check_report_path(path: str | Path) -> None:
    """Refuse a path of a report before it is made.

    Raises:
        NotADirectoryError: If a parent of the path is a file.
        ValueError: If it does not end in ``.html``, or has a file that is not a report.
    """
    path = Path(path)
    if path.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"{path}: expected the name of a report that ends in .html")
    check_folder(path)
    if path.is_dir():
        raise ValueError(f"{path}: is a folder; choose another name")
    if path.exists():
        with path.open("rb") as file:
            if GENERATOR.encode() not in file.read(_HEAD):
                raise ValueError(
                    f"{path}: exists, and is not a report of flare-mesh; choose another name, or "
                    f"remove it"
                )


def write_document(
    path: str | Path,
    title: str,
    lead: Sequence[Html],
    sections: Sequence[Section],
    scene: Mapping[str, Any] | None = None,
) -> None:
    """Write a report, whole or not at all.

    A content security policy allows the report's own style and script by their checksums, and
    nothing else: no text of a file can become a script, and nothing is loaded.

    Args:
        path: The file.
        title: Title of the report.
        lead: Elements below the title.
        sections: Its parts.
        scene: Cases of the interactive view, see :func:`~flare_mesh.report.scene.scene_of`; None
            for no view.
    """
    style = _asset("style.css")
    script = "" if scene is None else _asset("viewer.js")
    scripts = _checksum(script) if script else "'none'"
    policy = (
        f"default-src 'none'; img-src data:; style-src {_checksum(style)}; script-src {scripts}"
    )
    named = [(f"part-{number}", section) for number, section in enumerate(sections, 1)]
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="generator", content=f"{GENERATOR} {__version__}"),
        tag("meta", http_equiv="Content-Security-Policy", content=policy),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("title", title),
        Html(f"<style>{style}</style>"),
    )
    links = [tag("a", section.title, href=f"#{name}") for name, section in named]
    body = [
        tag("header", tag("h1", title), *lead, tag("nav", *links)),
        tag(
            "main",
            *(
                tag("section", tag("h2", section.title), *section.parts, id=name)
                for name, section in named
            ),
        ),
        tag("footer", f"Made by flare-mesh {__version__}."),
    ]
    if scene is not None:
        # In a JSON text, "<" can be written so that no browser sees an element.
        data = json.dumps(scene).replace("<", "\\u003c")
        body.append(Html(f'<script type="application/json" id="scene">{data}</script>'))
        body.append(Html(f"<script>{script}</script>"))
    page = tag("html", head, tag("body", *body), lang="en")
    write_text(path, f"<!doctype html>\n{page}\n")


def _asset(name: str) -> str:
    return files("flare_mesh.report").joinpath(name).read_text(encoding="utf-8")


def _checksum(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
