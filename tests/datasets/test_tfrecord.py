import pickle
import struct

import numpy as np
import pytest

from flare_mesh.datasets.tfrecord import TFRecordFile, parse_example

# Written by the official protobuf library and a CRC32C library: an Example with two strings of
# bytes and a list of integers.
GOLDEN = bytes.fromhex(
    "5800000000000000a28b2f8c0a560a190a0563656c6c7312100a0e0a0c000000000100000002000000"
    "0a0f0a04696e747312071a050a0301ac020a280a086d6573685f706f73121c0a1a0a18000000000000"
    "803f0000004000004040000080400000a040d3253b16"
)


@pytest.fixture
def path(tmp_path, write_examples):
    path = tmp_path / "train.tfrecord"
    write_examples(path, *({"a": np.full(3, n, np.int32), "b": np.ones(n)} for n in range(5)))
    return path


def values(file, number, name="a", dtype=np.int32):
    return np.frombuffer(parse_example(file[number])[name], dtype).tolist()


def test_official_record(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(GOLDEN * 2)
    file = TFRecordFile(path, tmp_path)
    assert len(file) == 2
    features = parse_example(file[1])
    assert set(features) == {"cells", "mesh_pos"}  # numbers are left out
    assert np.frombuffer(features["cells"], np.int32).tolist() == [0, 1, 2]
    assert np.frombuffer(features["mesh_pos"], np.float32).tolist() == [0, 1, 2, 3, 4, 5]


def test_records_by_number(path, tmp_path):
    file = TFRecordFile(path, tmp_path / "processed")
    assert len(file) == 5
    assert values(file, 3) == [3, 3, 3]
    assert values(file, -1) == [4, 4, 4]
    assert values(file, 4, "b", float) == [1, 1, 1, 1]


def test_index_and_checksum_results_are_cached(path, tmp_path, monkeypatch):
    values(TFRecordFile(path, tmp_path / "processed"), 2)
    (kept,) = (tmp_path / "processed").glob("train-records-*.npy")
    assert np.load(kept)[:, 2].tolist() == [0, 0, 1, 0, 0]

    def never(*args):
        raise AssertionError("read again")

    monkeypatch.setattr("flare_mesh.datasets.tfrecord._masked_crc32c", never)
    file = TFRecordFile(path, tmp_path / "processed")
    assert values(file, 2) == [2, 2, 2]
    with pytest.raises(AssertionError):
        file[3]


def test_a_changed_file_is_indexed_again(path, tmp_path, write_examples):
    assert len(TFRecordFile(path, tmp_path / "processed")) == 5
    write_examples(path, {"a": np.zeros(3, np.int32)})
    assert len(TFRecordFile(path, tmp_path / "processed")) == 1
    assert len(list((tmp_path / "processed").iterdir())) == 1


def test_pickle_holds_no_records(path, tmp_path):
    file = TFRecordFile(path, tmp_path / "processed")
    values(file, 1)
    text = pickle.dumps(file)
    assert len(text) < 500
    assert values(pickle.loads(text), 1) == [1, 1, 1]


def test_where_nothing_can_be_written(path, tmp_path, caplog):
    (tmp_path / "file").touch()
    file = TFRecordFile(path, tmp_path / "file")
    assert values(file, 1) == values(file, 1) == [1, 1, 1]
    assert "cannot be cached" in caplog.text


def test_damaged_index(path, tmp_path):
    TFRecordFile(path, tmp_path / "processed")
    (kept,) = (tmp_path / "processed").iterdir()
    index = np.load(kept)
    index[2, 1] += 100
    np.save(kept, index)
    with pytest.raises(ValueError, match="cached index of .* is damaged; remove"):
        TFRecordFile(path, tmp_path / "processed")


def test_missing_and_empty(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        TFRecordFile(tmp_path / "a.tfrecord", tmp_path)
    (tmp_path / "a.tfrecord").touch()
    with pytest.raises(ValueError, match="empty; expected TFRecords"):
        TFRecordFile(tmp_path / "a.tfrecord", tmp_path)


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (-1, r"record 4: declares \d+ bytes, but the file ends after \d+; it is truncated"),
        (-40, r"record 4: declares \d+ bytes, but the file ends after \d+; it is truncated"),
        (7, "record 0: the file ends within its length"),
        (13, r"record 0: declares \d+ bytes, but the file ends after 0; it is truncated"),
    ],
)
def test_truncated(path, tmp_path, cut, message):
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ValueError, match=message):
        TFRecordFile(path, tmp_path)


def test_wrong_checksums(path, tmp_path):
    content = bytearray(path.read_bytes())
    (first,) = struct.unpack_from("<Q", content)
    second = first + 16
    content[second + 20] ^= 1  # in the payload of record 1
    path.write_bytes(content)
    file = TFRecordFile(path, tmp_path)
    file[0]
    for _ in range(2):
        with pytest.raises(ValueError, match=r"record 1: wrong checksum of its \d+ bytes"):
            file[1]
    content[second + 3] ^= 1  # in the length of record 1: it must not be believed
    path.write_bytes(content)
    with pytest.raises(ValueError, match="record 1: wrong checksum of its length"):
        TFRecordFile(path, tmp_path)


def test_not_a_tfrecord_file(tmp_path):
    path = tmp_path / "a.tfrecord"
    path.write_bytes(b"<html>There is no such file here, or it was moved.</html>")
    with pytest.raises(ValueError, match="record 0: wrong checksum of its length; not a TFRecord"):
        TFRecordFile(path, tmp_path)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (b"\x0a\x7fabc", "a field reaches beyond its message"),
        (b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", "a number has no end"),
        (b"\x0b", "field of kind 3"),
        (b"\x0a", "a number has no end"),
    ],
)
def test_not_an_example(message, error):
    with pytest.raises(ValueError, match=f"not a tf.train.Example: {error}"):
        parse_example(memoryview(message))


def test_unknown_fields_are_skipped():
    strings = b"\x0a\x03abc"
    feature = b"\x0a" + bytes([len(strings)]) + strings
    entry = b"\x0a\x01k" + b"\x12" + bytes([len(feature)]) + feature
    more = b"\x50\x96\x01" + b"\x59" + bytes(8) + b"\x65" + bytes(4)
    features = more + b"\x0a" + bytes([len(entry)]) + entry + more
    message = more + b"\x0a" + bytes([len(features)]) + features
    assert {k: bytes(v) for k, v in parse_example(memoryview(message)).items()} == {"k": b"abc"}
    assert parse_example(memoryview(b"")) == {}
