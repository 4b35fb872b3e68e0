import filecmp
import math

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage

from flare_mesh.datasets import generate as command
from flare_mesh.datasets.generate import generate
from flare_mesh.datasets.generators import pathfinder_recipe
from flare_mesh.datasets.generators.pathfinder import draw_pathfinder
from flare_mesh.datasets.generators.pathfinder_recipe import PathfinderRecipe
from flare_mesh.datasets.lra import Pathfinder, open_sequences

PLACE = "pathfinder32/curv_contour_length_14"


@pytest.fixture(scope="module")
def here():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "run_tasks", lambda f, tasks, workers: (f(*t) for t in tasks))
        patch.setattr(pathfinder_recipe, "_FOLDER", 100)
        yield


@pytest.fixture(scope="module")
def root(tmp_path_factory, here):
    folder = tmp_path_factory.mktemp("pathfinder")
    generate(PathfinderRecipe(num=130, seed=3), folder)
    return folder


@pytest.fixture(scope="module")
def drawn():
    return draw_pathfinder(np.random.default_rng(5), 60, 14)


def moved(place, angle, distance):
    y, x = place
    return math.ceil(y + distance * math.sin(angle)), math.ceil(x + distance * math.cos(angle))


def opposite(angle):
    return angle + math.pi if angle < 0 else angle - math.pi


def possible_ends(tail, head, dashes):
    """Ends of all curves that begin with the dash from tail to head and take 13 of the dashes.

    A dash fits if its outer end is on the circle about the pivot, its other end lies towards the
    pivot, and the curve bends by less than 90 degrees.
    """
    found = set()

    def follow(pivot, angle, left):
        if len(left) == len(dashes) - 13:
            found.add(tip_of[len(left)])
            return
        pivot = moved(pivot, angle, 4)
        circle = {
            (int(pivot[0] + 3 * math.sin(k / 3)), int(pivot[1] + 3 * math.cos(k / 3)))
            for k in range(19)
        }
        for i, (tip, end) in enumerate(left):
            turn = math.atan2(tip[0] - pivot[0], tip[1] - pivot[1])
            bend = abs((turn - angle + math.pi) % (2 * math.pi) - math.pi)
            if tip in circle and bend < math.pi / 2 and moved(tip, opposite(turn), 2) == end:
                tip_of[len(left) - 1] = tip
                follow(pivot, turn, left[:i] + left[i + 1 :])

    tip_of = {}
    starts = {}
    for degrees in range(-180, 180):
        angle = math.radians(degrees)
        if moved(tail, angle, 2) == head:
            pivot = moved(head, opposite(angle), 3)
            starts.setdefault((pivot, moved(pivot, angle, 4)), []).append(angle)
    for (pivot, _), angles in starts.items():
        for angle in {min(angles), max(angles)}:
            follow(pivot, angle, dashes)
    return found


@pytest.mark.slow
def test_every_label_agrees_with_the_dashes(drawn):
    """Follow the dashes from one marker, without knowing to which curve each belongs."""
    unique = 0
    for label, paths, markers in zip(drawn.labels, drawn.paths, drawn.markers, strict=True):
        dashes = [
            (tuple(row[:2]), tuple(row[2:])) for snake in paths[:, 1:].tolist() for row in snake
        ]
        starts = {tuple(row[:2]): tuple(row[2:]) for row in paths[:, 0].tolist()}
        first, second = map(tuple, markers.tolist())
        ends = possible_ends(first, starts[first], dashes)
        assert len(ends) <= 3
        if label:
            assert second in ends
        else:
            assert ends - {second}
        unique += len(ends) == 1
    assert unique >= 54
    assert 15 < drawn.labels.sum() < 45


@pytest.mark.slow
def test_markers_are_joined_by_pixels_if_the_label_says_so(drawn):
    """Flood fill of the image alone, across gaps between dashes."""
    for image, label, (first, second) in zip(
        drawn.images, drawn.labels, drawn.markers, strict=True
    ):
        wide = ndimage.grey_dilation(image, (3, 3)) > 20
        groups, _ = ndimage.label(wide, np.ones((3, 3)))
        assert groups[tuple(first)] > 0
        if label:
            assert groups[tuple(first)] == groups[tuple(second)]
        for y, x in (first, second):
            assert image[y, x] >= 127  # a disc of half the light of a distractor


@pytest.mark.slow
def test_both_classes_look_the_same():
    """Neither the grey values nor the places of the markers tell the class."""
    drawn = draw_pathfinder(np.random.default_rng(1), 300, 14)
    yes, no = (drawn.images[drawn.labels == label].reshape(-1, 1024) for label in (1, 0))
    assert abs(len(yes) - 150) < 4 * math.sqrt(300) / 2
    for values in (lambda x: x.mean(1), lambda x: (x > 0).mean(1), lambda x: (x > 120).mean(1)):
        a, b = values(yes), values(no)
        error = math.sqrt(a.var() / len(a) + b.var() / len(b))
        assert abs(a.mean() - b.mean()) < 4 * error


@pytest.mark.slow
def test_layout_and_splits(root):
    folder = root / PLACE
    lines = (folder / "metadata/1.npy").read_text().splitlines()
    assert len(lines) == 30
    assert lines[4].split()[:3] == ["imgs/1", "sample_4.png", "4"]
    assert lines[4].split()[4:] == ["1.0", "14", "4", "2", "0.5", "1", "1"]
    assert len([*(folder / "imgs/0").glob("*.png")]) == 100
    splits = [Pathfinder(root, split) for split in ("train", "val", "test")]
    assert [len(data) for data in splits] == [104, 13, 13]
    rows = [(folder / f"metadata/{i}.npy").read_text().splitlines() for i in (0, 1)]
    labels = [int(line.split()[3]) for line in [*rows[0], *rows[1]]]
    assert np.concatenate([data.labels for data in splits]).tolist() == labels
    sample = splits[1][0]  # image 104
    with Image.open(folder / "imgs/1/sample_4.png") as image:
        np.testing.assert_array_equal(sample.token.reshape(32, 32), image)
    assert sample.num_nodes == 1024
    assert splits[0].lengths.tolist() == [1024] * 104


@pytest.mark.slow
def test_an_interrupted_run_continues_with_the_same_bytes(root, tmp_path, here, monkeypatch):
    recipe = PathfinderRecipe(num=130, seed=3)
    write = pathfinder_recipe._write_folder

    def stop(*args, number, **options):
        if number:
            raise KeyboardInterrupt
        write(*args, number=number, **options)

    with monkeypatch.context() as patch:
        patch.setattr(pathfinder_recipe, "_write_folder", stop)
        with pytest.raises(KeyboardInterrupt):
            generate(recipe, tmp_path)
    assert not (tmp_path / PLACE / "metadata/1.npy").exists()
    (tmp_path / PLACE / "imgs/.1.partial").mkdir()
    generate(recipe, tmp_path, resume=True)
    found = [*root.glob(f"{PLACE}/imgs/*/*"), *root.glob(f"{PLACE}/metadata/*")]
    names = [str(path.relative_to(root)) for path in found]
    assert len(names) == 132
    assert filecmp.cmpfiles(root, tmp_path, names, shallow=False)[1:] == ([], [])
    assert not [*tmp_path.rglob(".*")]


@pytest.mark.slow
def test_shorter_curves():
    drawn = draw_pathfinder(np.random.default_rng(0), 3, 6)
    assert drawn.paths.shape == (3, 2, 6, 4)


def write_set(folder, lines, image=None):
    (folder / "metadata").mkdir(parents=True, exist_ok=True)
    (folder / "imgs/0").mkdir(parents=True, exist_ok=True)
    content = b"".join(line if isinstance(line, bytes) else line.encode() for line in lines)
    (folder / "metadata/0.npy").write_bytes(content)
    for number in range(20):
        target = folder / f"imgs/0/sample_{number}.png"
        Image.fromarray(np.full((32, 32), number, np.uint8)).save(target)
    if image is not None:
        (folder / "imgs/0/sample_3.png").write_bytes(image)


def test_splits_of_a_set(tmp_path):
    lines = [f"imgs/0 sample_{i}.png {i} {i % 2} 1.0 14 4 2 0.5 1 1\n" for i in range(20)]
    write_set(tmp_path / PLACE, lines)
    splits = [Pathfinder(tmp_path, split) for split in ("train", "val", "test")]
    assert [[int(sample.token[7]) for sample in data] for data in splits] == [
        [*range(16)],
        [16, 17],
        [18, 19],
    ]
    assert splits[2].labels.tolist() == [0, 1]
    named = open_sequences("lra_pathfinder", tmp_path / PLACE, "test", contour_length=14)
    assert (named.num_classes, named.vocabulary_size, named.max_length) == (2, 256, 1024)
    assert named.lengths.tolist() == [1024, 1024]
    patches = open_sequences("lra_pathfinder", tmp_path, "test", patch=2)
    assert patches[1].x.shape == (256, 4)
    torch.testing.assert_close(patches[1].x, torch.full((256, 4), 19 / 127.5 - 1))


def test_standardized_patches(tmp_path):
    lines = [f"imgs/0 sample_{i}.png {i} {i % 2} 1.0 3 1 2 0.5 1 1\n" for i in range(20)]
    write_set(tmp_path / "curv_contour_length_3", lines)
    pixels = np.random.default_rng(0).integers(256, size=(32, 32), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "curv_contour_length_3/imgs/0/sample_5.png")
    data = Pathfinder(tmp_path, contour_length=3, patch=8, standardize=True)
    rows = pixels.reshape(4, 8, 4, 8).swapaxes(1, 2).reshape(16, 64)
    expected = (rows - pixels.mean()) / pixels.std()
    np.testing.assert_allclose(data[5].x.numpy(), expected, rtol=0, atol=1e-6)
    assert not data[7].x.any()  # a picture of one grey value
    with pytest.raises(ValueError, match="Pathfinder: standardize=True .* give patch=1, 2, 4 or 8"):
        Pathfinder(tmp_path, contour_length=3, standardize=True)


def test_files_of_the_recipe(monkeypatch):
    monkeypatch.setattr(pathfinder_recipe, "_FOLDER", 1000)
    paths = [target.path for target in PathfinderRecipe().targets()]
    assert (len(paths), paths[3]) == (200, f"{PLACE}/metadata/3.npy")
    short = PathfinderRecipe(num=1010, contour_length=9).targets()
    assert short[1].path == "pathfinder32/curv_contour_length_9/metadata/1.npy"
    assert [len(target.samples) for target in short] == [20, 1]
    easy = PathfinderRecipe(num=10, contour_length=3).targets()
    assert easy[0].path == "pathfinder32/curv_contour_length_3/metadata/0.npy"
    with pytest.raises(ValueError, match="--contour-length 3, 6, 9 or 14"):
        PathfinderRecipe(contour_length=12)


def test_the_empty_file_of_the_release_is_left_out(tmp_path):
    lines = [f"imgs/0 sample_{i}.png {i} {i % 2} 1.8 6 2 2 0.5 1 1\n" for i in range(20)]
    write_set(tmp_path / "curv_baseline", lines, b"")
    data = Pathfinder(tmp_path, contour_length=6)
    assert [int(sample.token[0]) for sample in data] == [0, 1, 2, *range(4, 16)]


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no pathfinder32/.*unpack.*generate pathfinder"):
        Pathfinder(tmp_path)
    with pytest.raises(ValueError, match="contour_length 3, 6, 9 or 14 .got 12"):
        Pathfinder(tmp_path, contour_length=12)
    good = [f"imgs/0 sample_{i}.png {i} 1 1.0\n" for i in range(20)]
    for lines, image, text in [
        ([*good[:3], "imgs/0 samp"], None, "line 4: the file ends within it"),
        ([*good[:3], "imgs/0 ../../x.png 3 1 1.0\n"], None, "line 4: expected 'imgs/0 <name>.png"),
        ([*good[:3], "imgs/0 sample_3.png 3 7 1.0\n"], None, "line 4: expected"),
        ([b"\x93NUMPY ..."], None, "line 1: expected lines of text"),
        (good, b"GIF89a", "sample_3.png: not a whole PNG file"),
        (good, b"\x89PNG", "sample_3.png: not a whole PNG file"),
        (good, bytes(70_000), "sample_3.png: expected an image of at most 64 KiB"),
        ([*good, "imgs/0 sample_77.png 77 1 1.0\n"], None, "sample_77.png: no such file"),
    ]:
        write_set(tmp_path / "curv_contour_length_14", lines, image)
        with pytest.raises((ValueError, FileNotFoundError), match=text):
            Pathfinder(tmp_path)
    write_set(tmp_path / "curv_contour_length_14", good)
    Image.new("L", (32, 31)).save(tmp_path / "curv_contour_length_14/imgs/0/sample_2.png")
    with pytest.raises(ValueError, match="expected 32 x 32 grey pixels of 8 bits .got 32 x 31"):
        Pathfinder(tmp_path)
