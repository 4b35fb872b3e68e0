import pytest

from flare_mesh.cases.case_files import CaseFiles, MeshStep
from flare_mesh.prediction.outputs import output_paths


@pytest.mark.parametrize("out", ["c3.pvd", "c3.xdmf", ".", "steps.pvd"])
def test_a_series_is_not_overwritten(tmp_path, out):
    (tmp_path / "c3.pvd").touch()
    steps = tuple(MeshStep(str(tmp_path / "steps" / f"{step}.vtu")) for step in range(2))
    case = CaseFiles("c3", tmp_path, steps)
    with pytest.raises(ValueError, match="would overwrite an input"):
        output_paths(tmp_path / out, [case], suffix=".pvd", one_file=out != ".")
    found = output_paths(tmp_path / "predicted.pvd", [case], suffix=".pvd", one_file=True)
    assert found == [tmp_path / "predicted.pvd"]
