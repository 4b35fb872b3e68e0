import pickle
import re
import tarfile

import numpy as np
import pytest
import torch
from torch_geometric.loader import DataLoader

from flare_mesh.datasets import generate as command
from flare_mesh.datasets.generate import generate
from flare_mesh.datasets.generators import list_ops
from flare_mesh.datasets.generators.list_ops_recipe import ListOpsRecipe
from flare_mesh.datasets.lra import ListOps, open_sequences, release
from flare_mesh.datasets.lra.list_ops import SYMBOLS

SMALL = ListOpsRecipe(num_train=130, num_val=4, num_test=60, min_length=20, max_length=80)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("listops")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(command, "run_tasks", lambda f, tasks, workers: (f(*t) for t in tasks))
        generate(SMALL, folder)
    return folder


def value(words):
    """Evaluate the words of an expression from left to right, with a stack."""
    stack = []
    for word in words:
        if word != "X":
            stack.append(word)
            continue
        values = []
        while stack[-1][0] != "[":
            values.append(int(stack.pop()))
        result = {
            "[MIN": min(values),
            "[MAX": max(values),
            "[MED": int(np.median(values)),
            "[SM": int(np.sum(values)) % 10,
        }[stack.pop()]
        stack.append(str(result))
    (last,) = stack
    return int(last)


@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_every_label_is_the_value_of_its_expression(root, split):
    data = ListOps(root, split)
    assert len(data) == {"train": 130, "val": 4, "test": 60}[split]
    for sample, label, length in zip(data, data.labels, data.lengths, strict=True):
        words = [SYMBOLS[i - 1] for i in sample.token.tolist()]
        assert value(words) == int(sample.y) == label
        assert 20 < len(words) == sample.num_nodes == length < 80
        assert sample.token.dtype == sample.y.dtype == torch.int64
        assert sample.y.shape == (1,)


def test_the_file_has_the_published_form(root):
    first, *lines = (root / "listops-1000/basic_test.tsv").read_bytes().split(b"\r\n")
    assert first == b"Source\tTarget"
    assert len(lines) == 61
    assert lines[-1] == b""
    for line in lines[:-1]:
        source, target = line.decode().split("\t")
        assert target in "0123456789"
        # Pairs of parentheses around an operator and its arguments, one at a time.
        words = source
        while (shorter := re.sub(r"\( ([^ ()]+) ([^ ()]+) \)", r"\1,\2", words)) != words:
            words = shorter
        assert " " not in words
        plain = words.replace(",", " ").replace("]", "X").split()
        assert value(plain) == int(target)


def test_full_size_expressions_are_within_the_published_limits():
    (block,) = ListOpsRecipe().make([ListOpsRecipe().targets()[2].samples[3]])
    lines = bytes(block["lines"]).decode().splitlines()
    sources, labels = zip(*(line.split("\t") for line in lines), strict=True)
    assert len(set(sources)) == 100
    plain = [re.sub(r"[()]", "", text).replace("]", "X").split() for text in sources]
    lengths = np.array([len(words) for words in plain])
    assert ((lengths > 500) & (lengths < 2000)).all()
    # 4,000 of the original program: mean 1,062, standard deviation about 420.
    assert abs(lengths.mean() - 1062) < 4 * 420 / 10
    for words, label in zip(plain[:25], labels, strict=False):
        assert value(words) == int(label)
        counts, stack, deepest = [], [], 0
        for word in words:
            if word == "X":
                counts.append(stack.pop())
            if stack and word[0] != "[":
                stack[-1] += 1
            if word[0] == "[":
                stack.append(0)
                deepest = max(deepest, len(stack))
        assert 2 <= min(counts) <= max(counts) <= 10
        assert deepest == 9  # the digits below are on the tenth level


def test_batches_are_not_padded(root):
    data = ListOps(root)
    batch = next(iter(DataLoader(data, batch_size=3)))
    assert batch.ptr.tolist() == np.cumsum([0, *data.lengths[:3]]).tolist()
    assert batch.token.shape == (batch.ptr[-1],)
    assert batch.batch.bincount().tolist() == data.lengths[:3].tolist()
    assert batch.y.tolist() == data.labels[:3].tolist()


def test_slices_pickles_and_names(root):
    data = ListOps(root)
    part = data[2:5]
    assert part.labels.tolist() == data.labels[2:5].tolist()
    assert part.lengths.tolist() == data.lengths[2:5].tolist()
    copy = pickle.dumps(data)
    assert len(copy) < 3000
    assert pickle.loads(copy)[7].token.equal(data[7].token)
    named = open_sequences("lra_listops", root, "test")
    assert (named.num_classes, named.vocabulary_size, named.max_length) == (10, 16, 2000)
    assert named.describe().startswith("ListOps, test: 60 samples of ")
    with pytest.raises(ValueError, match="did you mean 'lra_listops'"):
        open_sequences("listops", root)
    with pytest.raises(ValueError, match="no option 'length'"):
        open_sequences("lra_listops", root, length=3)


def test_errors(root, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no listops-1000/basic_val.tsv.*generate listops"):
        ListOps(tmp_path, "val")
    with pytest.raises(ValueError, match="unknown split 'dev'"):
        ListOps(root, "dev")
    with pytest.raises(ValueError, match=r"at most 30 tokens \(got \d\d\); choose max_length="):
        ListOps(root, max_length=30)
    file = tmp_path / "basic_train.tsv"
    head = b"Source\tTarget\n"
    for content, text in [
        (b"[MAX 4 ]\t4\n", "first line"),
        (head + b"( ( [MAX 4", "line 2: the file ends within it"),
        (head + b"[MAX 4 ]\t4", "line 2: the file ends within it"),
        (head + b"[MAX 4 ]\t14\n", r"line 2: expected a value from 0 to 9 \(got '14'\)"),
        (head + b"[MAX 4 ]\t4\n[MAX 14 ]\t4\n", r"line 3: expected symbols .*\(got '14'\)"),
        (head + b"[FIRST 4 ]\t4\n", r"got '\[FIRST'"),
        (head, "at least one sample"),
    ]:
        file.write_bytes(content)
        with pytest.raises(ValueError, match=text):
            ListOps(tmp_path)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"num_val": 0}, "--num-val >= 1"),
        ({"max_args": 1}, "--max-args >= 2"),
        ({"min_length": 1999}, "--min-length < --max-length"),
        ({"max_depth": 3, "max_args": 3}, "--min-length < 17, the longest"),
    ],
)
def test_impossible_options(options, text):
    with pytest.raises(ValueError, match=text):
        ListOpsRecipe(**options)


def test_impossible_lengths(monkeypatch):
    monkeypatch.setattr(list_ops, "_MOST", 300)
    recipe = ListOpsRecipe(max_depth=3, max_args=2, min_length=4, max_length=6)
    with pytest.raises(RuntimeError, match="none of 300 expressions"):
        list(recipe.make([recipe.targets()[0].samples[0]]))


def test_download(root, tmp_path, monkeypatch):
    """The archive of the release, served from this machine."""

    def serve(url, path):
        assert url.endswith("/long-range-arena/lra_release.gz")
        with tarfile.open(path, "w:gz") as archive:
            archive.add(root / "listops-1000", "lra_release/lra_release/listops-1000")

    monkeypatch.setattr(release, "download_file", serve)
    ListOps.download(tmp_path)
    assert len(ListOps(tmp_path, "val")) == 4
    monkeypatch.setattr(release, "download_file", None)
    ListOps.download(tmp_path)
    assert not (tmp_path / "lra_release.tar.gz").exists()
