"""Check a built documentation site: links inside it lead somewhere, and nothing is loaded from
another server, so that it can be read offline.

    .venv/bin/python .ci/check_site.py FOLDER
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

LOADED = {"img": "src", "script": "src", "link": "href", "iframe": "src", "source": "src"}
# Relations of a link that no browser loads.
NOT_LOADED = {"canonical", "next", "prev", "author", "search", "index"}


class Page(HTMLParser):
    """Names in a page that can be linked to, and its links."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = {key: value for key, value in attrs if value}
        self.names |= {found[key] for key in ("id", "name") if key in found}
        if tag == "a" and "href" in found:
            self.links.append(found["href"])
        if tag in LOADED and LOADED[tag] in found:
            loads = tag != "link" or not NOT_LOADED & set(found.get("rel", "").split())
            (self.loaded if loads else self.links).append(found[LOADED[tag]])


def faults(site: Path) -> tuple[list[str], int, int]:
    """Broken links and files of other servers; the numbers of pages and links."""
    files = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    pages = {path.resolve(): Page(path) for path in files}
    found, links = [], 0
    for path, page in pages.items():
        name = path.relative_to(site.resolve())
        for link in page.loaded:
            if urlsplit(link).netloc:
                found.append(f"{name}: loads {link} from another server")
        for link in page.links + page.loaded:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            links += 1
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if not target.exists():
                found.append(f"{name}: link to {link}, which does not exist")
            elif parts.fragment and target in pages:
                fragment = unquote(parts.fragment)
                if fragment not in pages[target].names and not fragment.startswith("__"):
                    found.append(f"{name}: link to {link}, which has no such heading")
    return found, len(pages), links


if __name__ == "__main__":
    wrong, num_pages, num_links = faults(Path(sys.argv[1]))
    print(*wrong, sep="\n", end="\n" if wrong else "")
    print(f"{num_pages} pages, {num_links} links, {len(wrong)} faults")
    sys.exit(bool(wrong))
