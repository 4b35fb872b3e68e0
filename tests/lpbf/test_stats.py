import re

import numpy as np
import pytest

from lpbf.dataset.statistics import read_statistics
from lpbf.stats import main, write_figure

pytest.importorskip("matplotlib")


def test_table_and_figure(lpbf_root, tmp_path, capsys):
    figure = tmp_path / "figure.png"
    assert main([str(lpbf_root), str(lpbf_root), "--figure", str(figure)]) == 0
    printed = capsys.readouterr().out
    mean = read_statistics(lpbf_root)["nodes"].mean()
    assert re.search(rf"nodes .* 8 . +{mean:.3g} ", printed)
    assert "published" in printed
    assert "20,972" in printed
    assert "seconds" in printed
    assert figure.read_bytes().startswith(b"\x89PNG")
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]


def test_figure_of_one_case(tmp_path, lpbf_root):
    one = {name: values[:1] for name, values in read_statistics(lpbf_root).items()}
    write_figure({"one": one}, tmp_path / "one.svg")
    assert "max von Mises" in (tmp_path / "one.svg").read_text()


def test_figure_where_nothing_moves(tmp_path, lpbf_root):
    still = {name: np.zeros(3) for name in read_statistics(lpbf_root)}
    write_figure({"still": still}, tmp_path / "still.png")
    assert (tmp_path / "still.png").is_file()


def test_bad_input(lpbf_root, tmp_path, capsys):
    assert main([str(tmp_path)]) == 2
    assert "no cases" in capsys.readouterr().err
    assert main([str(lpbf_root), "--figure", str(tmp_path / "figure.docx")]) == 2
    assert "figure.docx: expected a picture of type" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []
