import json

import numpy as np
import pytest

from lpbf.dataset.statistics import QUANTITIES, read_statistics, summary, table_rows


def write_box(path, counts, spacing, **changes):
    """Write a box of voxels like the published files: columns of one channel, pickled metadata."""
    nx, ny, nz = counts
    grid = np.stack(np.meshgrid(*(np.arange(n + 1) for n in counts), indexing="ij"), axis=-1)
    number = np.arange(grid[..., 0].size).reshape(grid.shape[:-1])
    corners = [number[i : nx + i, j : ny + j, k : nz + k] for k in (0, 1) for j, i in RING]
    pairs = [np.stack([a.ravel(), b.ravel()]) for a, b in zip(*neighbours(number), strict=True)]
    one_way = np.concatenate(pairs, axis=1)
    nodes = number.size
    arrays = {
        "pos": grid.reshape(-1, 3) * np.array(spacing) - [5.0, 5.0, 0.0],
        "edge_index": np.concatenate([one_way, one_way[::-1]], axis=1),
        "elems": np.stack([corner.ravel() for corner in corners], axis=1),
        "temp": np.full((nodes, 1), 25.0),
        "disp": np.linspace(0, 1, nodes)[:, None] * [0.0, 0.3, -0.4],
        "vmstr": np.linspace(5, 800, nodes)[:, None],
        "_metadata": np.array({"case_id": "x"}, dtype=object),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **{**arrays, **changes})


RING = ((0, 0), (0, 1), (1, 1), (1, 0))


def neighbours(number):
    return (
        (number[1:], number[:, 1:], number[:, :, 1:]),
        (number[:-1], number[:, :-1], number[:, :, :-1]),
    )


@pytest.fixture
def published(tmp_path):
    write_box(tmp_path / "train/a.npz", (2, 3, 4), (1.0, 1.5, 2.0))
    write_box(tmp_path / "test/b.npz", (1, 1, 1), (1.0, 1.0, 1.0))
    (tmp_path / "train/.c.1.partial.npz").touch()
    return tmp_path


def test_a_set_in_the_published_layout(published):
    found = read_statistics(published)
    assert list(found) == [*QUANTITIES[:-1]]  # no seconds
    assert found["nodes"].tolist() == [8, 60]
    assert found["elements"].tolist() == [1, 24]
    assert found["edges"].tolist() == [24, 2 * (2 * 4 * 5 + 3 * 3 * 5 + 3 * 4 * 4)]
    np.testing.assert_allclose(found["edges per node"], found["edges"] / found["nodes"])
    np.testing.assert_allclose(found["max |displacement|, mm"], 0.5)
    np.testing.assert_allclose(found["max von Mises, MPa"], 800)
    assert found["height, mm"].tolist() == [1, 8]
    assert found["aspect ratio"].tolist() == [1, 2]


def test_a_generated_set_has_seconds(lpbf_root):
    found = read_statistics(lpbf_root)
    entries = {e["file"]: e["metadata"] for e in json.loads((lpbf_root / "index.json").read_text())}
    metadata = [entries[name] for name in sorted(entries)]
    for quantity, key in (
        ("nodes", "num_nodes"),
        ("edges", "num_edges"),
        ("elements", "num_elements"),
        ("max |displacement|, mm", "max_displacement_mm"),
        ("max von Mises, MPa", "max_von_mises_mpa"),
        ("height, mm", "height_mm"),
        ("aspect ratio", "aspect_ratio"),
    ):
        np.testing.assert_allclose(found[quantity], [m[key] for m in metadata], rtol=1e-6)
    assert (found["seconds"] > 0).all()


def test_summary():
    expected = {"count": 4, "mean": 3.0, "median": 2.0, "min": 1.0, "max": 7.0}
    assert summary(np.array([7.0, 1.0, 2.0, 2.0])) == expected


def test_published_statistics_come_last():
    rows = [row[:2] for row in table_rows({"mine": {"nodes": np.ones(2)}})]
    assert rows[:3] == [
        ("nodes", "mine"),
        ("nodes", "published"),
        ("nodes", "published, unfiltered"),
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"disp": np.zeros((3, 3))}, "expected a case of LPBF_FLARE's layout .got .*'disp': .3, 3"),
        ({"elems": np.full((1, 8), 8)}, "names nodes beyond the 8 nodes"),
        ({"elems": np.zeros((0, 8), int)}, "expected a case of LPBF_FLARE's layout"),
    ],
)
def test_damaged_cases(published, changes, message):
    write_box(published / "test/b.npz", (1, 1, 1), (1.0, 1.0, 1.0), **changes)
    with pytest.raises(ValueError, match=rf"b.npz: .*{message}"):
        read_statistics(published)


def test_a_case_that_is_not_finite(published):
    write_box(published / "train/nan.npz", (2, 2, 2), (1.0, 1.0, 1.0), vmstr=np.full(27, np.nan))
    with pytest.raises(ValueError, match=r"nan.npz: 'vmstr' has NaN or infinite values"):
        read_statistics(published)


def test_damaged_timing(published):
    (published / "timing.json").write_text('{"a": 1.0}')
    with pytest.raises(ValueError, match=r"timing.json: damaged, or from other cases"):
        read_statistics(published)


def test_no_cases(tmp_path):
    with pytest.raises(FileNotFoundError, match="no cases"):
        read_statistics(tmp_path)
