import pytest

from flare_mesh.cli import main
from flare_mesh.commands.named_config import chosen_config
from flare_mesh.configs import find_config


def test_a_name_without_a_suffix_is_the_package_s(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    packaged = find_config("darcy_cpu")
    assert packaged.parent != tmp_path
    assert chosen_config("darcy_cpu") == packaged
    assert capsys.readouterr().err == f"configuration 'darcy_cpu': {packaged}\n"
    for name in ("darcy_cpu", "darcy_cpu.yaml"):
        (tmp_path / name).write_text("unknown_option: 1")
        assert chosen_config("darcy_cpu") == packaged
        assert capsys.readouterr().err.endswith(f", not ./{name}, which has the same name\n")
        (tmp_path / name).rename(tmp_path / "mine.yaml")
    (tmp_path / "mine.yaml").rename(tmp_path / "darcy_cpu.yaml")
    for name in ("darcy_cpu.yaml", "./darcy_cpu.yaml"):
        assert chosen_config(name).resolve() == tmp_path / "darcy_cpu.yaml"
        assert main(["fit", "--config", name]) == 2
        error = capsys.readouterr().err
        assert len(error.splitlines()) == 1
        assert "darcy_cpu.yaml: unknown option 'unknown_option'" in error
    (tmp_path / "other").write_text("unknown_option: 1")
    assert chosen_config("other").name == "other"
    with pytest.raises(FileNotFoundError, match="darcy_flar: no such configuration"):
        chosen_config("darcy_flar")


def test_the_choice_is_printed_apart_from_the_options(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        main(["fit", "--config", "darcy_cpu", "--print_config"])
    printed = capsys.readouterr()
    assert "configuration 'darcy_cpu': " in printed.err
    assert "configuration '" not in printed.out
