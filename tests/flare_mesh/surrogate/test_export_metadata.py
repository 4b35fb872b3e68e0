import json
import zipfile

import pytest

from flare_mesh.surrogate import read_metadata


def test_files_without_metadata_are_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    with zipfile.ZipFile(tmp_path / "other.pt2", "w") as archive:
        archive.writestr("model/version", "1")
    (tmp_path / "damaged.pt2").write_bytes(b"PK")
    graph = onnx.helper.make_graph([], "empty", [], [])
    onnx.save(onnx.helper.make_model(graph), tmp_path / "other.onnx")
    (tmp_path / "damaged.onnx").write_bytes(b"PK")
    for name in ("other.pt2", "damaged.pt2", "other.onnx", "damaged.onnx"):
        with pytest.raises(ValueError, match=rf"{name}: expected a .pt2 or .onnx file that"):
            read_metadata(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        read_metadata(tmp_path / "none.pt2")


def test_metadata_are_limited(tmp_path):
    for text, problem in (("[1]", "expected a JSON object"), (" " * 2**23, "8,388,608 bytes")):
        with zipfile.ZipFile(tmp_path / "field.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("model/extra/flare_mesh.json", text)
        with pytest.raises(ValueError, match=problem):
            read_metadata(tmp_path / "field.pt2")
    with zipfile.ZipFile(tmp_path / "field.pt2", "w") as archive:
        archive.writestr("model/extra/flare_mesh.json", json.dumps({"version": "1"}))
    assert read_metadata(tmp_path / "field.pt2") == {"version": "1"}
