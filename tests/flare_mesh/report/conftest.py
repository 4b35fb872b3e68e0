from html.parser import HTMLParser

import pytest

from flare_mesh.report.html import tag

_EMPTY = {"meta", "img", "br", "input"}


class Page(HTMLParser):
    """What a browser finds in a page.

    Attributes:
        texts: Text of each element by its tag, without that of style and scripts.
        attributes: Attributes of each element by its tag.
        scripts: Type and text of each script.
    """

    def __init__(self, text):
        super().__init__()
        self.texts, self.attributes, self.scripts = {}, {}, []
        self._open = []
        self.feed(text)
        assert not self._open, "elements that are not closed"

    def handle_starttag(self, tag, attrs):
        self.attributes.setdefault(tag, []).append(dict(attrs))
        if tag not in _EMPTY:
            self._open.append(tag)
            self.texts.setdefault(tag, []).append("")
        if tag == "script":
            self.scripts.append([dict(attrs).get("type"), ""])

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open and self._open[-1] == "script":
            self.scripts[-1][1] += data
        elif self._open:
            self.texts[self._open[-1]][-1] += data

    @property
    def text(self):
        return "\n".join(text for tag, all in self.texts.items() if tag != "style" for text in all)


@pytest.fixture
def read_page():
    """Function that reads a page, and checks that it loads nothing and runs its own script only."""

    def read(path):
        page = Page(path.read_text(encoding="utf-8"))
        for element, every in page.attributes.items():
            for attributes in every:
                assert not {"onload", "onerror", "onclick", "style"} & attributes.keys()
                for name in ("src", "href", "data", "action", "srcset"):
                    value = attributes.get(name) or "#"
                    own = value.startswith(("data:image/", "#"))
                    assert own, f"<{element} {name}={value[:80]}>"
        assert "iframe" not in page.attributes
        assert "url(" not in "".join(page.texts["style"])
        kinds = [kind for kind, _ in page.scripts]
        assert kinds in ([], ["application/json", None])
        return page

    return read


@pytest.fixture
def no_charts(monkeypatch):
    """Charts are left out, which take most of the time of a report."""
    for module in ("run_report", "prediction_report"):
        name = f"flare_mesh.report.{module}.chart"
        monkeypatch.setattr(name, lambda *_, alt, **__: tag("p", f"chart: {alt}"))


@pytest.fixture
def small_pictures(monkeypatch):
    """Pictures of fields have few pixels."""
    monkeypatch.setattr("flare_mesh.report.pictures._COMPARISON", (240, 100))
    monkeypatch.setattr("flare_mesh.report.pictures._SINGLE", (120, 100))
