import collections
import io
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from flare_mesh.datasets.lra import Image, ListOps, Pathfinder, Retrieval, Text
from flare_mesh.datasets.lra import plain_pickle as module
from flare_mesh.datasets.lra.plain_pickle import PickledArray, read_plain_pickle


def plain(value):
    """The values of a result, with arrays in place of their stand-ins."""
    if type(value) is PickledArray:
        return value.values
    if type(value) is dict:
        return {key: plain(one) for key, one in value.items()}
    if type(value) in (list, tuple):
        return type(value)(map(plain, value))
    return bytes(value) if type(value) is memoryview else value


ROWS = [
    {"input_ids_0": np.array([3, 1, 0, 0], np.int32), "label": 4},
    {"input_ids_0": np.arange(300, dtype=">i8"), "label": np.int64(7)},
    {"x": [1.5, None, True, False, -70000, 2**40, -(2**40), "ä" * 300, b"\xff", b"y" * 300]},
    {"y": (), "z": (1,), "w": (1, 2, 3, 4), "v": np.float32(0.25), "u": []},
    {"f": np.asfortranarray(np.arange(6.0).reshape(2, 3)), "e": np.zeros((0, 3), np.uint8)},
]


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_plain_values_are_those_of_pickle(tmp_path, protocol):
    path = tmp_path / "rows.pickle"
    path.write_bytes(pickle.dumps(ROWS, protocol))
    got = plain(read_plain_pickle(path))
    np.testing.assert_equal(got, ROWS)
    assert got[1]["input_ids_0"].dtype == np.dtype(">i8")
    # Names of NumPy 1 and of files written by it.
    path.write_bytes(pickle.dumps(ROWS[:2], protocol).replace(b"numpy._core", b"numpy.core"))
    if protocol < 4:  # the length of a text is not in the bytes before it
        np.testing.assert_equal(plain(read_plain_pickle(path)), ROWS[:2])


class Call:
    """Pickles as a call of a function."""

    def __init__(self, function, *arguments, state=None):
        self.call = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.call


HOSTILE = {
    "os.system": Call(os.system, "touch HARM"),
    "builtins.eval": Call(eval, "open('HARM', 'w')"),
    "builtins.exec": Call(exec, "open('HARM', 'w')"),
    "builtins.getattr": Call(getattr, "os", "system"),
    "nested": [Call(print, Call(os.system, "touch HARM"))],
    "state": Call(collections.OrderedDict, state={"a": Call(os.system, "touch HARM")}),
    "subprocess": Call(subprocess.Popen, ["touch", "HARM"]),
    "array subclass": np.array([1]).view(np.recarray),
    "objects": np.array([Call(os.system, "touch HARM"), 1], dtype=object),
    "records": np.zeros(2, [("a", "i4")]),
    "text array": np.array(["a"]),
    "complex": np.array([1j]),
    "set": {1, 2},
    "class": Call,
    "buffer": io.BytesIO(b"x"),
    "number keys": {1: 2},
    "huge integer": 10**100,
}


@pytest.fixture(scope="module")
def watched():
    """Events of Python while there is a list for them; a hook cannot be removed."""
    state = {"events": None}
    harm = {"os.system", "subprocess.Popen", "exec", "import", "pickle.find_class"}

    def hook(event, _):
        if state["events"] is not None and event in harm:
            state["events"].append(event)

    sys.addaudithook(hook)
    return state


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("protocol", [2, 5])
def test_hostile_pickles_run_nothing(tmp_path, monkeypatch, watched, name, protocol):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "hostile.pickle"
    path.write_bytes(pickle.dumps([HOSTILE[name], HOSTILE["os.system"]], protocol))
    watched["events"] = []
    try:
        with pytest.raises(ValueError, match=rf"^{path}: "):
            read_plain_pickle(path)
        assert watched["events"] == []
    finally:
        watched["events"] = None
    assert [*tmp_path.iterdir()] == [path]


def test_the_watch_sees_harm(tmp_path, monkeypatch, watched):
    monkeypatch.chdir(tmp_path)
    watched["events"] = []
    pickle.loads(pickle.dumps(HOSTILE["os.system"]))
    found, watched["events"] = watched["events"], None
    assert {"os.system", "pickle.find_class"} <= {*found}
    assert (tmp_path / "HARM").exists()


@pytest.mark.parametrize(
    "content",
    {
        "attributes of an array": b"cnumpy\nndarray\n}X\x01\x00\x00\x00ak\x01sb.",
        "state of a list": b"](K\x01K\x02tb.",
        "call of a dictionary": b"}(K\x01tR.",
        "call of a type": b"cnumpy\nndarray\n)R.",
        "dotted name": b"cnumpy\ncore.multiarray._reconstruct\n)R.",
        "stacked number as a name": b"\x80\x04K\x01K\x02\x93.",
        "array without a type": b"cnumpy.core.multiarray\n_reconstruct\n)R"
        b"(K\x01)K\x07\x89C\x01\x00tb.",
        "persistent id": b"\x80\x04K\x01Q.",
        "extension": b"\x80\x04\x82\x01.",
        "instance": b"(cos\nsystem\no.",
        "instance by name": b"(ios\nsystem\n.",
        "new object": b"\x80\x02cnumpy\ndtype\n)\x81.",
        "protocol 0": b"(lp0\nI1\na.",
        "no mark": b"\x80\x02t.",
        "empty stack": b"\x80\x02.",
        "two values": b"\x80\x02NN.",
        "unknown place": b"\x80\x02h\x07.",
        "long text": b"\x80\x02X\xff\xff\xff\x7fabc.",
        "long array": b"\x80\x05\x96\xff\xff\xff\xff\xff\xff\xff\x7fa.",
        "short dictionary": b"\x80\x02}(X\x01\x00\x00\x00au.",
        "list in itself": b"\x80\x02]q\x00h\x00a",
    }.values(),
)
def test_broken_pickles_are_refused(tmp_path, content):
    path = tmp_path / "broken.pickle"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^{path}: "):
        read_plain_pickle(path)


def test_every_cut_is_refused(tmp_path):
    path = tmp_path / "cut.pickle"
    whole = pickle.dumps(ROWS[:1], 4)
    for size in range(len(whole)):
        path.write_bytes(whole[:size])
        with pytest.raises(ValueError, match=rf"^{path}: "):
            read_plain_pickle(path)


def test_limits(tmp_path, monkeypatch):
    path = tmp_path / "large.pickle"
    path.write_bytes(pickle.dumps([[]] * 3 + [[] for _ in range(1000)], 4))
    with pytest.raises(ValueError, match=r"expected at most 100 bytes \(got "):
        read_plain_pickle(path, max_bytes=100)
    monkeypatch.setattr(module, "_MAX_VALUES", 900)
    with pytest.raises(ValueError, match="expected at most 900 values"):
        read_plain_pickle(path)


def rows_of(*documents, labels, length, keys=1):
    """Rows as the programs write them, padded with zeros."""
    rows = []
    for i, label in enumerate(labels):
        row = {"label": label}
        for key in range(keys):
            ids = np.zeros(length, np.int32)
            document = documents[keys * i + key]
            ids[: len(document)] = document
            row[f"input_ids_{key}"] = ids
        rows.append(row)
    return rows


def write(path, rows):
    path.write_bytes(pickle.dumps(rows, 4))


def test_processed_pickles(tmp_path):
    write(
        tmp_path / "lra-listops.dev.pickle",
        rows_of([12, 1, 15, 11], [14, 3, 11], labels=[9, np.int64(0)], length=2048),
    )
    data = ListOps(tmp_path, "val")
    assert [sample.token.tolist() for sample in data] == [[12, 1, 15, 11], [14, 3, 11]]
    assert data.labels.tolist() == [9, 0]
    long = list(range(1, 257)) * 20
    write(
        tmp_path / "lra-text.test.pickle",
        rows_of([256, 1], long, [], labels=[1, 0, 1], length=6000),
    )
    text = Text(tmp_path, "test", source="pickle")
    assert text.lengths.tolist() == [2, 4000, 1]
    assert text[0].token.tolist() == [256, 1]
    assert text[1].token.tolist() == long[:4000]
    assert text[2].token.tolist() == [0]  # without any byte
    write(
        tmp_path / "lra-retrieval.train.pickle",
        rows_of([5, 6], [7], [8], [9, 10, 11], labels=[0, 1], length=9, keys=2),
    )
    pairs = Retrieval(tmp_path)
    assert [pair.token.tolist() for pair in pairs] == [[5, 6, 7], [8, 9, 10, 11]]
    assert [pair.length.tolist() for pair in pairs] == [[[2, 1]], [[1, 3]]]
    black = [[0] * 1024, [255] + [0] * 1023]
    write(tmp_path / "lra-image.train.pickle", rows_of(*black, labels=[3, 4], length=1024))
    image = Image(tmp_path)
    assert image.lengths.tolist() == [1024, 1024]
    assert image[1].token[0] == 255
    name = "lra-pathfinder32-curv_contour_length_14.train.pickle"
    write(tmp_path / name, rows_of(*black, labels=[0, 1], length=1024))
    assert Pathfinder(tmp_path).lengths.tolist() == [1024, 1024]
    with pytest.raises(FileNotFoundError, match="length_9"):
        Pathfinder(tmp_path, contour_length=9)


@pytest.mark.parametrize(
    ("rows", "text"),
    [
        ({"a": 1}, "expected a list of samples .got dict"),
        ([1], "sample 0: no 'input_ids_0'"),
        ([{"input_ids_0": [1]}], "sample 0: no 'label'"),
        ([{"input_ids_0": [1], "label": "x"}], "'label': expected whole numbers"),
        ([{"input_ids_0": [1], "label": [1, 2]}], "expected one label .got 2"),
        ([{"input_ids_0": [1], "label": 10}], "sample 0: expected a class from 0 to 9 .got 10"),
        ([{"input_ids_0": [1.5], "label": 1}], "'input_ids_0': expected whole numbers"),
        ([{"input_ids_0": [1, 2**70], "label": 1}], "expected at most|more than 16 bytes|whole"),
        ([{"input_ids_0": [1, 16], "label": 1}], r"ids from 1 to 15 \(got 1 to 16\)"),
        ([{"input_ids_0": [1, 0, 2], "label": 1}], r"ids from 1 to 15 \(got 0 to 2\)"),
        ([], "at least one sample"),
    ],
)
def test_processed_pickles_of_something_else(tmp_path, rows, text):
    write(tmp_path / "lra-listops.train.pickle", rows)
    with pytest.raises(ValueError, match=text):
        ListOps(tmp_path)


def test_a_pickle_that_repeats_its_arrays(tmp_path):
    row = {"input_ids_0": np.ones(2000, np.int8), "label": 1}
    write(tmp_path / "lra-listops.train.pickle", [row] * 5000)
    with pytest.raises(ValueError, match="repeats its arrays"):
        ListOps(tmp_path)


def test_files_of_two_sources(tmp_path):
    write(tmp_path / "lra-listops.train.pickle", rows_of([12, 1, 11], labels=[1], length=9))
    (tmp_path / "basic_train.tsv").write_bytes(b"Source\tTarget\n[MAX 4 5 ]\t5\n")
    with pytest.raises(ValueError, match=r"one source .*got \['release', 'pickle'\].*source="):
        ListOps(tmp_path)
    assert ListOps(tmp_path, source="pickle").labels.tolist() == [1]
    assert ListOps(tmp_path, source="release").labels.tolist() == [5]
    with pytest.raises(ValueError, match="unknown source 'pickled'; did you mean 'pickle'"):
        ListOps(tmp_path, source="pickled")
