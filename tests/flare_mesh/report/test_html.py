from flare_mesh.report.html import Html, figure, image, join, pairs, table, tag


def test_texts_and_attributes_are_escaped():
    assert tag("p", "a < b & 'c'", cls='x"y') == (
        '<p class="x&quot;y">a &lt; b &amp; &#x27;c&#x27;</p>'
    )
    assert tag("p", tag("b", "<i>"), 3, id=None) == "<p><b>&lt;i&gt;</b>3</p>"
    assert tag("meta", http_equiv="x", name="y") == '<meta http-equiv="x" name="y">'
    assert join(["<", Html("<br>")]) == "&lt;<br>"


def test_tables_and_lists():
    assert table(["case", "u"], [["<a>", 1]]) == (
        '<div class="scroll"><table class="numbers"><thead><tr><th scope="col">case</th>'
        '<th scope="col">u</th></tr></thead><tbody><tr><th scope="row">&lt;a&gt;</th><td>1</td>'
        "</tr></tbody></table></div>"
    )
    assert pairs([("a", 0), ("b", None), ("c", "")]) == "<dl><dt>a</dt><dd>0</dd></dl>"


def test_pictures():
    assert figure(image(b"abc", "png", alt='"'), "<") == (
        '<figure><img src="data:image/png;base64,YWJj" alt="&quot;"><figcaption>&lt;</figcaption>'
        "</figure>"
    )
