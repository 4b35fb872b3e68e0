import gzip
import tarfile

import numpy as np
import pytest
import torch

from flare_mesh.datasets.lra import Image, open_sequences
from flare_mesh.datasets.lra import image as module


def write_cifar(folder):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        records = rng.integers(256, size=(4, 3073), dtype=np.uint8)
        records[:, 0] = rng.integers(10, size=4)
        records.tofile(folder / f"{name}.bin")


def test_cifar(tmp_path):
    folder = tmp_path / "cifar-10-batches-bin"
    write_cifar(folder)
    train, val, test = (Image(tmp_path, split) for split in ("train", "val", "test"))
    assert [len(data) for data in (train, val, test)] == [18, 2, 4]
    records = np.concatenate(
        [
            np.fromfile(folder / f"data_batch_{i}.bin", np.uint8).reshape(4, 3073)
            for i in range(1, 6)
        ]
    )
    assert np.concatenate([train.labels, val.labels]).tolist() == records[:, 0].tolist()
    red, green, blue = records[17, 1:].astype(float).reshape(3, 1024)
    grey = 255.5 * (0.2989 * red + 0.5870 * green + 0.1140 * blue) / 255
    assert np.abs(train[17].token.numpy() - np.floor(grey)).max() <= 1  # rounding to float32
    assert (train[17].token.numpy() == np.floor(grey)).mean() > 0.99
    assert train.class_names[3] == "cat"
    assert (train.num_classes, train.vocabulary_size, train.max_length) == (10, 256, 1024)


def idx(array):
    head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
    return head + array.astype(np.uint8).tobytes()


def write_idx(root):
    rng = np.random.default_rng(1)
    images = rng.integers(1, 256, size=(20, 28, 27), dtype=np.uint8)
    labels = np.arange(20, dtype=np.uint8) % 7
    (root / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
    (root / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels)))
    (root / "t10k-images.idx3-ubyte").write_bytes(idx(images[:3]))
    (root / "t10k-labels.idx1-ubyte").write_bytes(idx(labels[:3]))
    return images, labels


def test_idx(tmp_path):
    images, labels = write_idx(tmp_path)
    train, val, test = (Image(tmp_path, split) for split in ("train", "val", "test"))
    assert [len(data) for data in (train, val, test)] == [18, 2, 3]
    assert [data.num_classes for data in (train, val, test)] == [7, 7, 7]
    assert val.labels.tolist() == labels[18:].tolist()
    picture = val[1].token.reshape(32, 32).numpy()
    np.testing.assert_array_equal(picture[2:30, 2:29], images[19])
    assert picture.sum() == images[19].sum()
    named = open_sequences("lra_image", tmp_path, "test", source="idx")
    assert named[2].token.equal(test[2].token)


def test_patches(tmp_path):
    write_idx(tmp_path)
    pixels = Image(tmp_path, "test")[1].token.reshape(32, 32)
    for patch in (1, 4):
        data = Image(tmp_path, "test", patch=patch)
        side = 32 // patch
        rows = [
            [
                (int(pixels[patch * row + i, patch * column + j]) - 127.5) / 127.5
                for i in range(patch)
                for j in range(patch)
            ]
            for row in range(side)
            for column in range(side)
        ]
        sample = data[1]
        torch.testing.assert_close(sample.x, torch.tensor(rows))
        assert "token" not in sample
        assert (data.in_channels, data.max_length) == (patch**2, side**2)
        assert data.lengths.tolist() == [sample.num_nodes] * 3 == [side**2] * 3
    with pytest.raises(ValueError, match="Image: expected patch 1, 2, 4 or 8, .*got 3"):
        Image(tmp_path, patch=3)


def test_download(tmp_path, monkeypatch):
    write_cifar(tmp_path / "there/cifar-10-batches-bin")

    def serve(url, path):
        assert url == Image.ADDRESS
        with tarfile.open(path, "w:gz") as archive:
            archive.add(tmp_path / "there/cifar-10-batches-bin", "cifar-10-batches-bin")

    monkeypatch.setattr(module, "download_file", serve)
    Image.download(tmp_path)
    monkeypatch.setattr(module, "download_file", None)
    Image.download(tmp_path)
    assert len(Image(tmp_path, "test")) == 4


def test_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no cifar-10-batches-bin there.*Image.download"):
        Image(tmp_path)
    write_idx(tmp_path)
    images, labels = tmp_path / "t10k-images.idx3-ubyte", tmp_path / "t10k-labels.idx1-ubyte"
    whole = images.read_bytes()
    for content, text in [
        (whole[:-1], r"expected 2,268 bytes for \[3, 28, 27\] \(got 2,267\)"),
        (whole + b"x", r"\(got more\)"),
        (whole[:7], "expected an IDX file of bytes with 3 axes"),
        (b"\x00\x00\x0d\x03" + whole[4:], "expected an IDX file of bytes"),
        (whole[:4] + b"\x7f\xff\xff\xff" * 3, "more than the limit"),
        (idx(np.zeros((1, 33, 3))), "at most 32 x 32 pixels .got 33 x 3"),
        (idx(np.zeros((2, 28, 27))), "t10k-labels.*expected 2 labels .got 3"),
    ]:
        images.write_bytes(content)
        with pytest.raises(ValueError, match=text):
            Image(tmp_path, "test")
    images.write_bytes(whole)
    labels.write_bytes(idx(np.zeros(3))[:-1])
    with pytest.raises(ValueError, match="t10k-labels"):
        Image(tmp_path, "test")
    packed = tmp_path / "train-images-idx3-ubyte.gz"
    packed.write_bytes(packed.read_bytes()[:-100])
    labels.write_bytes(idx(np.zeros(3)))
    with pytest.raises(ValueError, match="train-images-idx3-ubyte.gz: not a whole IDX file"):
        Image(tmp_path)
    write_cifar(tmp_path / "cifar-10-batches-bin")
    with pytest.raises(ValueError, match="one source"):
        Image(tmp_path)
    file = tmp_path / "cifar-10-batches-bin/test_batch.bin"
    file.write_bytes(file.read_bytes()[:-1])
    with pytest.raises(ValueError, match="whole records of 3,073 bytes"):
        Image(tmp_path, "test", source="cifar10")
    (tmp_path / "cifar-10-batches-bin/data_batch_2.bin").unlink()
    with pytest.raises(FileNotFoundError, match="got 4 of 5"):
        Image(tmp_path, source="cifar10")
