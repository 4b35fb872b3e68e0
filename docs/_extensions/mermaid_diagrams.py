"""Diagrams in Mermaid's language, as GitHub shows them too, drawn by a local copy of Mermaid."""

import shutil
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.writers.html5 import HTML5Translator

_SCRIPT = Path(__file__).parents[2] / ".venv/mermaid.min.js"
_OPTIONS = "{startOnLoad: true, theme: 'neutral'}"


class Mermaid(nodes.General, nodes.Element):
    """A diagram."""


class MermaidDirective(Directive):
    """A fence with the language ``mermaid``."""

    has_content = True

    def run(self) -> list[nodes.Node]:
        return [Mermaid(text="\n".join(self.content))]


def visit(self: HTML5Translator, node: Mermaid) -> None:
    """Write the source of the diagram, which Mermaid replaces by the drawing."""
    self.body.append(f'<pre class="mermaid">{self.encode(node["text"])}</pre>')
    raise nodes.SkipNode


def copy_script(app: Sphinx, error: Exception | None) -> None:
    """Copy Mermaid to the site."""
    if error is None:
        shutil.copy(_SCRIPT, Path(app.outdir) / "_static/mermaid.min.js")


def load_script(app: Sphinx, page: str, template: str, context: dict, tree: nodes.document) -> None:
    """Load Mermaid on the pages that have a diagram."""
    if tree is not None and next(tree.findall(Mermaid), None) is not None:
        app.add_js_file("mermaid.min.js")
        app.add_js_file(None, body=f"mermaid.initialize({_OPTIONS});")


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    if not _SCRIPT.is_file():
        raise ExtensionError(f"{_SCRIPT}: no such file; `make docs` fetches it")
    app.add_node(Mermaid, html=(visit, None))
    app.add_directive("mermaid", MermaidDirective)
    app.connect("build-finished", copy_script)
    app.connect("html-page-context", load_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
