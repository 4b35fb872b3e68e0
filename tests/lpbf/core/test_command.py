from argparse import ArgumentParser

import pytest

from lpbf import BasePlate, Heat, Process, SolverError
from lpbf.core.command import add_pitch, add_process, check_output, read_process, run_command


def parse(*arguments, add=add_process):
    parser = ArgumentParser()
    add(parser)
    return vars(parser.parse_args(arguments))


def test_pitch():
    assert parse("--pitch", "2", add=add_pitch) == {"pitch": 2.0}
    assert parse("--pitch", "2,2,0.5", add=add_pitch) == {"pitch": (2.0, 2.0, 0.5)}
    for text in ("2,2", "two", ""):
        with pytest.raises(SystemExit):
            parse("--pitch", text, add=add_pitch)


def test_process(tmp_path):
    assert read_process(parse()) == Process()
    assert read_process(parse("--preset", "316L")) == Process.preset("316L")
    file = tmp_path / "process.yaml"
    Process(scan_rotation=67.0, heat=Heat(preheat=170.0), release=True).to_yaml(file)
    options = ("--process", str(file), "--no-release", "--heat", "--base-plate", "5")
    assert read_process(parse(*options)) == Process(
        scan_rotation=67.0, heat=Heat(preheat=170.0), base_plate=BasePlate(thickness=5.0)
    )
    assert read_process(parse("--process", str(file), "--no-heat")).heat is None
    rotated = read_process(parse("--preset", "316L", "--scan", "stripes", "--scan-angle", "30"))
    assert (rotated.scan_rotation, rotated.scan_angle) == (67.0, 30.0)


def test_thermal_strain():
    process = read_process(parse("--preset", "316L", "--strain", "thermal"))
    assert process == Process.preset("316L", strain="thermal")
    with pytest.raises(ValueError, match="expected a heat model .got heat=None.; set heat"):
        read_process(parse("--strain", "thermal"))
    with pytest.raises(ValueError, match="expected --scan-angle or thermal strain.*leave out one"):
        read_process(parse("--preset", "316L", "--strain", "thermal", "--scan-angle", "30"))


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ValueError("bad value"), 2, "error: bad value"),
        (FileNotFoundError("no file"), 2, "error: no file"),
        (SolverError("layer 3"), 1, "error: layer 3"),
        (MemoryError(), 1, "error: out of memory; use less"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_exit_codes(error, code, message, capsys):
    def fail():
        raise error

    assert run_command(fail, interrupted="stopped", less_memory="use less") == code
    assert capsys.readouterr().err == f"{message}\n"


def test_other_errors_are_raised():
    def fail():
        raise RuntimeError("a bug")

    assert run_command(lambda: 1) == 1
    with pytest.raises(RuntimeError, match="a bug"):
        run_command(fail)


def test_links_that_lead_to_themselves(tmp_path):
    loop = tmp_path / "loop.vtu"
    loop.symlink_to(loop)
    check_output(str(tmp_path / "a.vtu"), "--out", [".vtu"], str(loop))
    for path in (loop, loop / "a.vtu"):
        with pytest.raises(NotADirectoryError, match="symbolic link to itself"):
            check_output(str(path), "--out", [".vtu"], "part.stl")
    link = tmp_path / "link.vtu"
    link.symlink_to(tmp_path / "a.vtu")
    (tmp_path / "a.vtu").touch()
    with pytest.raises(ValueError, match="would overwrite the part"):
        check_output(str(tmp_path / "a.vtu"), "--out", [".vtu"], str(link))
