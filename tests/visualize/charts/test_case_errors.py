import pytest

from flare_mesh.visualize import plot_case_errors


def test_sorted_errors_beside_the_best_baseline(run, ax):
    plot_case_errors(str(run), ax=ax)
    found = [[list(map(float, axis)) for axis in line.get_data()] for line in ax.lines]
    assert found[0] == [[12.5, 37.5, 62.5, 87.5], [0.1, 0.1, 0.2, 0.4]]
    assert found[1][1] == [0.5, 0.5]
    assert found[2][1] == [0.3, 0.4, 0.5]  # without the case whose field is zero
    assert found[3][1] == [0.3, 0.3]
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels[1::2] == ["u, mean of ridge", r"s\$1\$, mean of training_mean"]
    assert ax.lines[0].get_color() == ax.lines[1].get_color()


def test_a_run_without_test(run, ax):
    (run / "test_cases.csv").unlink()
    with pytest.raises(ValueError, match=r"got none in test_cases\.csv\); set data\.test_split"):
        plot_case_errors(run, ax=ax)
