from pathlib import Path

import pytest

from flare_mesh.cli import main
from flare_mesh.models import MODELS, overview
from flare_mesh.nn.mixer import MIXERS

ROOT = Path(__file__).parents[3]


def test_every_model_and_mixer_is_in_the_table():
    assert overview._ABOUT.keys() == {*MODELS, *MIXERS} - {"backbone"}
    rows = {row.name: row for row in overview.overview()}
    assert rows["transformer"].parameters == 662_081
    assert rows["softmax"].parameters == 425_217
    assert rows["meshgraphnet"].needs == "edges"
    assert rows["softmax"].needs == ""


@pytest.mark.parametrize("page", ["README.md", "docs/models.md"])
def test_the_pages_have_the_table(page, capsys):
    _, _, rest = (ROOT / page).read_text().partition("<!-- flare-mesh models --markdown -->\n")
    table, _, _ = rest.partition("\n<!-- end -->")
    assert main(["models", "--markdown"]) == 0
    assert table == capsys.readouterr().out.rstrip("\n")


def test_the_command_lists_them(capsys):
    assert main(["models"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(MODELS) + len(MIXERS) - 1
    assert any("meshgraphnet" in line and "needs edges" in line for line in lines)
