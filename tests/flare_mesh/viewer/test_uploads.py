import pytest

from flare_mesh.viewer.uploads import check_upload, shown_name, upload_suffixes


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("part.stl", "part.stl"),
        ("../../etc/passwd", "passwd"),
        ("..\\..\\windows\\part.STL", "part.STL"),
        ("/etc/passwd", "passwd"),
        ("my part\r\nX: 1.stl", "my_part_X_1.stl"),
        ('a"b;c.vtu', "a_b_c.vtu"),
        (".hidden", "hidden"),
        ("..", "file"),
        ("", "file"),
        ("x" * 300 + ".vtu", "x" * 76 + ".vtu"),
        ("a." + "y" * 300, "a"[:0] + ("." + "y" * 300)[:80]),
    ],
)
def test_names(name, shown):
    assert shown_name(name) == shown


def test_types_and_sizes():
    suffixes = upload_suffixes((".step", ".stl"))
    assert suffixes[:2] == (".step", ".stl")
    assert ".vtu" in suffixes
    assert not {".pvd", ".pvtu", ".xdmf"} & {*suffixes}, "they name other files"
    assert check_upload("a.STEP", 10, suffixes, 10) == ".step"
    with pytest.raises(ValueError, match=r"a.exe: expected a mesh or part .* \(got '.exe'\)"):
        check_upload("a.exe", 1, suffixes, 10)
    with pytest.raises(ValueError, match=r"a.vtu: is larger than 1 MB; .* --max-upload"):
        check_upload("../a.vtu", 1_000_001, suffixes, 1_000_000)
