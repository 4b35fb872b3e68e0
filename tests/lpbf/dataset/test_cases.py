from lpbf.dataset.cases import list_cases


def test_split_does_not_change_when_the_set_grows(small_set):
    few, many = (list_cases(n, small_set) for n in (5, 50))
    assert many[:5] == few
    assert sum(c.split == "test" for c in many) == 12


def test_linked_folders_of_parts(tmp_path, small_set):
    (tmp_path / "disk").mkdir()
    (tmp_path / "parts").mkdir()
    for name in ("disk/a.stl", "parts/b.stl", "parts/._b.stl"):
        (tmp_path / name).touch()
    (tmp_path / "parts" / "more").symlink_to(tmp_path / "disk")
    (tmp_path / "disk" / "back").symlink_to(tmp_path / "parts")
    cases = list_cases(0, small_set, tmp_path / "parts")
    assert sorted(case.source for case in cases) == ["b.stl", "more/a.stl"]


def test_a_file_stays_in_its_split_when_others_join(tmp_path, small_set):
    for i in range(100, 200):
        (tmp_path / f"{i}.stl").touch()
    before = {case.name: case.split for case in list_cases(0, small_set, tmp_path)}
    assert 10 < sum(split == "test" for split in before.values()) < 40
    for i in range(50):
        (tmp_path / f"{i}.stl").touch()
    after = {case.name: case.split for case in list_cases(3, small_set, tmp_path)}
    assert {name: after[name] for name in before} == before
