import base64
import hashlib
import json

import pytest

from flare_mesh.report.document import Section, check_report_path, write_document
from flare_mesh.report.html import tag

HOSTILE = "</script><script>alert(1)</script><!--"


def test_nothing_but_the_own_script_can_run(tmp_path, read_page):
    path = tmp_path / "r.html"
    parts = [tag("p", HOSTILE)]
    scene = {"cases": [{"name": HOSTILE}]}
    write_document(path, HOSTILE, parts, [Section(HOSTILE, parts)], scene)
    page = read_page(path)
    assert page.texts["h1"] == page.texts["title"] == page.texts["h2"] == [HOSTILE]
    (_, data), (_, script) = page.scripts
    assert json.loads(data) == scene
    # The policy names the checksums of the style and the script, and allows nothing else.
    policy = page.attributes["meta"][2]
    assert policy["http-equiv"] == "Content-Security-Policy"
    for text, kind in ((script, "script"), (page.texts["style"][0], "style")):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy["content"]
    assert policy["content"].startswith("default-src 'none'; img-src data:;")
    assert page.attributes["a"] == [{"href": "#part-1"}]
    assert page.attributes["section"] == [{"id": "part-1"}]
    assert not any(word in script for word in ("http:", "https:", "fetch(", "import(", "eval("))


def test_without_a_view_there_is_no_script(tmp_path, read_page):
    write_document(tmp_path / "r.html", "t", [], [])
    page = read_page(tmp_path / "r.html")
    assert not page.scripts
    assert "script-src 'none'" in page.attributes["meta"][2]["content"]


def test_only_reports_are_replaced(tmp_path):
    path = tmp_path / "r.html"
    write_document(path, "t", [], [])
    check_report_path(path)
    path.write_text("<html>mine</html>")
    with pytest.raises(ValueError, match="exists, and is not a report of flare-mesh"):
        check_report_path(path)
    with pytest.raises(ValueError, match=r"expected the name of a report that ends in \.html"):
        check_report_path(tmp_path / "r.pdf")
    with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
        check_report_path(path / "r.html")
    (tmp_path / "d.html").mkdir()
    with pytest.raises(ValueError, match="is a folder"):
        check_report_path(tmp_path / "d.html")
