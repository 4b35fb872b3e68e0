import pytest

from flare_mesh.choices import clip, nearest


@pytest.mark.parametrize("name", ["mesh_folde", "MeshFolder", "mesh-folder", "MESH_FOLDER"])
def test_the_nearest_name(name):
    assert nearest(name, {"lpbf", "mesh_folder", "darcy"}) == "did you mean 'mesh_folder'?"


def test_the_name_is_given_as_it_is_written():
    assert nearest("airfran", ["AirfRANS", "lpbf"]) == "did you mean 'AirfRANS'?"


def test_all_names_where_none_is_near():
    assert nearest("zzz", ("b", "a")) == "choose from ['a', 'b']"
    assert nearest("", ["b", "a"]) == "choose from ['a', 'b']"
    assert nearest("a", []) == "choose from []"
    assert nearest(5, ["a"]) == "choose from ['a']"  # a number is a key in YAML


def test_long_texts_are_clipped():
    assert clip("a" * 500) == "a" * 500
    assert clip(ValueError("a" * 501)) == "a" * 496 + " ..."
