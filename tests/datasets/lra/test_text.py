import pickle
import tarfile

import numpy as np
import pytest
import torch
from torch.nn.functional import pad
from torch_geometric.loader import DataLoader

from flare_mesh.datasets.lra import Retrieval, Text
from flare_mesh.datasets.lra import text as module


@pytest.fixture
def reviews(tmp_path):
    for part in ("train", "test"):
        for kind in ("neg", "pos"):
            folder = tmp_path / "aclImdb" / part / kind
            folder.mkdir(parents=True)
            for number in range(10):
                (folder / f"{number}_7.txt").write_bytes(f"{part} {kind} {number}é".encode())
    (tmp_path / "aclImdb/train/pos/3_7.txt").write_bytes(b"")
    return tmp_path


def text_of(token):
    return bytes(i - 1 for i in token.tolist()).decode()


def test_reviews(reviews):
    train, val, test = (Text(reviews, split) for split in ("train", "val", "test"))
    assert [len(data) for data in (train, val, test)] == [20, 20, 20]
    assert train.labels.tolist() == [0] * 10 + [1] * 10
    assert text_of(train[12].token) == "train pos 2é"
    assert train[13].token.tolist() == [0]
    assert train.lengths[13] == 1
    assert text_of(val[4].token) == text_of(test[4].token) == "test neg 4é"
    assert val.validation_is_test
    assert (train.vocabulary_size, train.num_classes, train.max_length) == (257, 2, 4000)
    short = Text(reviews, max_length=7)
    assert {text_of(short[0].token), text_of(short[10].token)} == {"train n", "train p"}
    assert len(train[0].token) > 7, "a cache of another length"


def test_a_tenth_of_the_training_reviews(reviews):
    splits = {s: Text(reviews, s, validation="train_tenth") for s in ("train", "val", "test")}
    assert {name: len(data) for name, data in splits.items()} == {"train": 18, "val": 2, "test": 20}
    assert [text_of(one.token) for one in splits["val"]] == ["train neg 9é", "train pos 9é"]
    kept = {text_of(one.token) for one in splits["train"] if one.token[0]}
    assert not kept & {"train neg 9é", "train pos 9é"}
    assert not splits["val"].validation_is_test


def test_download(reviews, tmp_path, monkeypatch):
    def serve(url, path):
        assert url == Text.ADDRESS
        with tarfile.open(path, "w:gz") as archive:
            archive.add(reviews / "aclImdb", "aclImdb")

    monkeypatch.setattr(module, "download_file", serve)
    root = tmp_path / "new"
    root.mkdir()
    Text.download(root)
    monkeypatch.setattr(module, "download_file", None)
    Text.download(root)
    assert len(Text(root)) == 20


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Forty files of each of two authors; every piece of five bytes says where it is from."""
    root = tmp_path_factory.mktemp("texts")
    for author in "ab":
        (root / author / "deeper").mkdir(parents=True)
        for number in range(40):
            content = "".join(f"{author}{number:02d}.{piece}" for piece in range(number % 4 + 1))
            folder = root / author / "deeper" if number % 2 else root / author
            (folder / f"{number}.txt").write_text(content + "x")
    (root / "a/.hidden.txt").write_text("no")
    (root / "a/picture.png").write_text("no")
    return root


def test_any_folder_of_texts(texts):
    found = {}
    for split in ("train", "val", "test"):
        data = Text(texts, split, source="folder", max_length=5)
        assert data.class_names == ("a", "b")
        assert not data.validation_is_test
        for sample in data:
            content = text_of(sample.token)
            assert len(content) == 5
            assert content[0] == data.class_names[int(sample.y)]
            found.setdefault(content[:3], []).append((split, content[4]))
    assert len(found) == 80
    for name, pieces in found.items():
        assert len({split for split, _ in pieces}) == 1, "a file in two splits"
        assert len(pieces) == int(name[1:]) % 4 + 1
    assert sum(pieces[0][0] == "train" for pieces in found.values()) == 64
    assert len(Text(texts, source="folder")) == 64  # whole files


def test_pairs_of_a_folder(texts):
    splits = {}
    for split in ("train", "val", "test"):
        data = Retrieval(texts, split, source="folder", max_length=5)
        assert np.bincount(data.labels).tolist() == [len(data) // 2] * 2
        for sample in data:
            assert sample.length.tolist() == [[5, 5]]
            first, second = text_of(sample.token[:5]), text_of(sample.token[5:])
            assert (first[0] == second[0]) == bool(sample.y)
            assert first[:3] != second[:3]
            for name in (first[:3], second[:3]):
                assert splits.setdefault(name, split) == split
    again = Retrieval(texts, "test", source="folder", max_length=5)
    assert [one.token.tolist() for one in again] == [one.token.tolist() for one in data]


def test_batches_of_pairs(tmp_path):
    lines = [b"1.0\tP1\tP2\tab\tcde\n", b"0.0\tP3\tP4\tfghi\t\n", b"0.0\tP5\tP6\t\"j\t'k\n"]
    (tmp_path / "tsv_data").mkdir()
    for part in ("train", "eval"):
        (tmp_path / f"tsv_data/new_aan_pairs.{part}.tsv").write_bytes(b"".join(lines))
    data = Retrieval(tmp_path, "val")
    assert (data.documents, len(data)) == (2, 3)
    assert data.lengths.tolist() == [5, 5, 4]
    (batch,) = DataLoader(data, batch_size=3)
    ptr = pad(batch.length.reshape(-1).cumsum(0), (1, 0))
    documents = [text_of(part) if part[0] else "" for part in batch.token.tensor_split(ptr[1:-1])]
    assert documents == ["ab", "cde", "fghi", "", '"j', "'k"]
    assert batch.ptr.tolist() == ptr[::2].tolist()
    assert batch.y.tolist() == [1, 0, 0]
    assert batch.token.dtype == torch.int64
    assert pickle.loads(pickle.dumps(data))[1].length.tolist() == [[4, 1]]


def test_errors(tmp_path, texts):
    with pytest.raises(
        FileNotFoundError, match=r"no aclImdb/test/.*Text.download.*source='folder'"
    ):
        Text(tmp_path, "val")
    with pytest.raises(FileNotFoundError, match="no lra-text.dev.pickle"):
        Text(tmp_path, "val", source="pickle")
    with pytest.raises(FileNotFoundError, match=r"new_aan_pairs.eval.tsv.*source='folder'"):
        Retrieval(tmp_path, "val")
    with pytest.raises(ValueError, match="max_length >= 1"):
        Text(texts, max_length=0)
    with pytest.raises(ValueError, match="unknown validation 'dev'"):
        Text(texts, validation="dev")
    with pytest.raises(ValueError, match=r"a sub-folder with text files .*got \[\]"):
        Text(texts / "a/deeper", source="folder")
    few = tmp_path / "few"
    for name in "ab":
        (few / name).mkdir(parents=True)
        (few / name / "1.txt").write_text("x")
    with pytest.raises(ValueError, match="none of its 1 files is in the split"):
        [Text(few, split, source="folder") for split in ("train", "val", "test")]
    file = tmp_path / "new_aan_pairs.train.tsv"
    for content, text in [
        (b"1.0\tP1\tP2\tab\n", "line 1: expected a label, two ids and two texts .got 4"),
        (b"1.0\tP1\tP2\tab\tcd", "line 1: .* cut"),
        (b"2.0\tP1\tP2\tab\tcd\n", "line 1: expected the label 0.0 or 1.0 .got '2.0'"),
    ]:
        file.write_bytes(content)
        with pytest.raises(ValueError, match=text):
            Retrieval(tmp_path)
    only = tmp_path / "aclImdb/train/pos"
    only.mkdir(parents=True)
    (only / "1.txt").write_text("x")
    with pytest.raises(ValueError, match="expected reviews in both neg and pos"):
        Text(tmp_path)
