import h5py
import numpy as np
import pytest

from flare_mesh.datasets.point_case import open_case


def test_npy(tmp_path):
    (tmp_path / "fields").mkdir()
    np.save(tmp_path / "pos.npy", np.zeros((5, 3)))
    np.save(tmp_path / "fields/p.npy", np.arange(5.0))
    np.save(tmp_path / "name.npy", np.array(["a"]))
    np.save(tmp_path / ".partial.npy", np.zeros(1))
    (tmp_path / "broken.npy").write_bytes(b"nothing")
    with open_case(tmp_path) as case:
        assert case.shapes() == {"pos": (5, 3), "fields/p": (5,)}
        assert isinstance(case.array("fields/p"), np.memmap)
        there = r"\['broken', 'fields/p', 'name', 'pos'\]"
        with pytest.raises(ValueError, match=rf"'p': not there; it has {there}"):
            case.array("p")
        with pytest.raises(ValueError, match=r"name\.npy: expected an array of numbers"):
            case.array("name")
        with pytest.raises(ValueError, match=r"broken\.npy: not a whole npy file"):
            case.array("broken")


def test_hdf5(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["group/secret"] = np.zeros(5)
    with h5py.File(path, "w") as file:
        file["pos"] = np.zeros((5, 3))
        file["fields/p"] = np.arange(5.0)
        file["name"] = "text"
        file["null"] = h5py.Empty("f4")
        file["again"] = h5py.SoftLink("/fields/p")
        file["outside"] = h5py.ExternalLink("other.h5", "group")
        file["detour"] = h5py.SoftLink("/outside/secret")
    with open_case(path) as case:
        assert case.shapes() == {"pos": (5, 3), "fields/p": (5,)}
        for name, message in (
            ("p", r"a\.h5, 'p': not there; '/' has \['again', 'detour', 'fields', "),
            ("fields", "expected an array of numbers"),
            ("name", "expected an array of numbers"),
            ("null", "expected an array"),
            ("outside/secret", "links to another file"),
            ("again", "'again' is a soft link, which is not followed"),
            ("detour", "'detour' is a soft link, which is not followed"),
        ):
            with pytest.raises(ValueError, match=message):
                case.array(name)


def test_damaged(tmp_path):
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["pos"] = np.zeros((5, 3))
    content = path.read_bytes()
    path.write_bytes(content[:1000])
    with pytest.raises(ValueError, match=r"a\.h5: not a whole HDF5 file"), open_case(path):
        pass
    # Bytes of the headers, one after the other: whatever happens is a ValueError that says where.
    messages = []
    for place in range(0, 1400, 2):
        damaged = bytearray(content)
        damaged[place] ^= 0xFF
        path.write_bytes(damaged)
        try:
            with open_case(path) as case:
                case.shapes()
                case.array("pos")
        except ValueError as error:
            messages.append(str(error))
    assert len(messages) > 20
    assert all(message.startswith(str(path)) for message in messages)
