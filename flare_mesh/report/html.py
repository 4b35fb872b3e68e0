"""HTML elements whose texts are escaped."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

_EMPTY = frozenset({"img", "meta", "br", "input"})


class Html(str):
    """Text that is HTML already; every other text is escaped."""

    __slots__ = ()


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element: ``tag("p", "a < b", cls="note")`` is ``<p class="note">a &lt; b</p>``.

    Args:
        name: Name of the element.
        children: Elements and texts.
        attributes: Attributes by name, with ``cls`` for ``class`` and ``data_x`` for ``data-x``;
            those that are None are left out.
    """
    text = "".join(
        f' {"class" if key == "cls" else key.replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _EMPTY:
        return Html(f"<{name}{text}>")
    return Html(f"<{name}{text}>{join(children)}</{name}>")


def join(parts: Iterable[object]) -> Html:
    """Elements and texts one after the other."""
    return Html("".join(part if isinstance(part, Html) else escape(str(part)) for part in parts))


def table(
    head: Sequence[object], rows: Iterable[Sequence[object]], *, numbers: bool = True
) -> Html:
    """A table whose first column names the rows.

    Args:
        head: Names of the columns.
        rows: Cells of each row.
        numbers: Whether the other columns are aligned as numbers are.
    """
    body = [
        tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:]))
        for row in rows
    ]
    top = tag("thead", tag("tr", *(tag("th", cell, scope="col") for cell in head)))
    inner = tag("table", top, tag("tbody", *body), cls="numbers" if numbers else None)
    return tag("div", inner, cls="scroll")


def pairs(rows: Iterable[tuple[object, object]]) -> Html:
    """A list of names and values; rows whose value is None or empty are left out."""
    found = [(name, value) for name, value in rows if value not in (None, "", [], {})]
    return tag("dl", *(join([tag("dt", name), tag("dd", value)]) for name, value in found))


def image(content: bytes, kind: str, *, alt: str, **attributes: Any) -> Html:
    """A picture within the page.

    Args:
        content: Content of the picture's file.
        kind: Its type, such as ``png`` or ``svg+xml``; a script in an SVG picture cannot run.
        alt: Text for readers who do not see it.
        attributes: More attributes.
    """
    data = base64.b64encode(content).decode()
    return tag("img", src=f"data:image/{kind};base64,{data}", alt=alt, **attributes)


def figure(picture: Html, caption: object = "") -> Html:
    """A picture with a caption."""
    return tag("figure", picture, tag("figcaption", caption) if caption else "")
