"""Docstrings as they are read in the source: a vertical bar is a norm or a row of a table."""

import re

from sphinx.application import Sphinx

# The long union of types that Sphinx writes into a signature for numpy's ArrayLike.
_ARRAY_LIKE = re.compile(
    r"[\w.~]*_Buffer \| [\w.~]*_SupportsArray.*?_NestedSequence\[complex \| bytes \| str\]"
)
_LITERAL = re.compile(r"(``.*?``|:[\w:]+:`.*?`)")


def escape_bars(
    app: Sphinx, kind: str, name: str, value: object, options: object, lines: list[str]
) -> None:
    """Escape vertical bars outside of literals, which docutils takes for substitutions."""
    if any(re.match(r"\s*\|(-+\|)+$", line) for line in lines):
        lines[:] = _tables(lines)
    in_equation = False
    for number, line in enumerate(lines):
        if line.strip():
            in_equation = ".. math::" in line or (in_equation and line.startswith((" ", "\t")))
        if not in_equation and "|" in line:
            parts = _LITERAL.split(line)
            parts[::2] = [part.replace("|", r"\|") for part in parts[::2]]
            lines[number] = "".join(parts)


def _tables(lines: list[str]) -> list[str]:
    """Turn tables in Markdown's form into list tables."""
    result: list[str] = []
    for number, line in enumerate(lines):
        if not line.lstrip().startswith("|"):
            result.append(line)
            continue
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if set("".join(cells)) <= {"-"}:
            continue
        if number == 0 or not lines[number - 1].lstrip().startswith("|"):
            result += ["", ".. list-table::", "   :header-rows: 1", ""]
        for column, cell in enumerate(cells):
            result.append(f"   {'*' if column == 0 else ' '} - {cell}")
    return result


def shorten_array_like(
    app: Sphinx,
    kind: str,
    name: str,
    value: object,
    options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Write ``ArrayLike`` in place of its long union of types."""
    return signature and _ARRAY_LIKE.sub("ArrayLike", signature), returns


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the hooks."""
    app.connect("autodoc-process-docstring", escape_bars)
    app.connect("autodoc-process-signature", shorten_array_like)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
