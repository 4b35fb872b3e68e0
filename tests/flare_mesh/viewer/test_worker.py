import asyncio
import io
import json

import pytest
import trimesh

from flare_mesh import read_mesh, write_mesh
from flare_mesh.viewer.job import Job
from flare_mesh.viewer.model import describe_model
from flare_mesh.viewer.worker import work


def events(tmp_path, **request):
    usual = {"name": "shown", "model": None, "trust_code": False, "simulate": False}
    usual |= {"fields": str(tmp_path / "out.vtu"), "compensated": None}
    out = io.StringIO()
    work(usual | request, out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_mesh_without_a_model(prediction, tmp_path):
    write_mesh(tmp_path / "upload_1.vtu", prediction.mesh)
    assert events(tmp_path, file=str(tmp_path / "upload_1.vtu")) == [
        {"fields": True},
        {"done": True},
    ]
    assert read_mesh(tmp_path / "out.vtu").num_nodes == 27
    (tmp_path / "upload_2.vtu").write_text("not XML")
    (found,) = events(tmp_path, file=str(tmp_path / "upload_2.vtu"))
    assert found["error"].startswith("shown: ")
    assert "\n" not in found["error"]
    assert "upload_2" not in found["error"]


@pytest.mark.filterwarnings("ignore::flare_mesh.prediction.OutsideTrainingRangeWarning")
def test_a_part_with_its_simulation_and_compensation(trained, tmp_path):
    model = describe_model(trained[0])
    assert {".stl", ".step"} <= {*model.part_suffixes}
    assert model.simulates
    assert model.compensates
    part = tmp_path / "upload_1.stl"
    box = trimesh.creation.box((20.0, 12.0, 16.0))
    box.apply_translation((50.0, 9.0, 1.0)).export(part)
    request = {"file": str(part), "model": str(trained[0])}
    surface = tmp_path / "out.stl"
    found = events(tmp_path, **request, simulate=True, compensated=str(surface))
    steps = [one["progress"] for one in found if "progress" in one and one["progress"][1]]
    assert steps == [[done + 1, 4, f"layer {done}"] for done in range(4)]
    assert found[-2:] == [{"compensated": True}, {"done": True}]
    mesh = read_mesh(tmp_path / "out.vtu")
    assert {"displacement", "predicted_displacement"} <= {*mesh.node_fields}

    compensated = trimesh.load_mesh(surface)
    # Each point of the box moves against the predicted displacement of the nearest voxel's corner.
    shift = mesh.node_fields["predicted_displacement"]
    top = int((mesh.pos - mesh.pos.new_tensor([10.0, 6.0, 16.0])).norm(dim=1).argmin())
    corner = box.bounds[1] - shift[top].numpy()
    distances = ((compensated.vertices - corner) ** 2).sum(axis=1) ** 0.5
    assert distances.min() == pytest.approx(0.0, abs=1e-4)


@pytest.mark.slow
def test_a_child_process(tmp_path, prediction):
    write_mesh(tmp_path / "a.vtu", prediction.mesh)
    request = {"name": "a", "file": str(tmp_path / "a.vtu"), "fields": str(tmp_path / "b.vtu")}
    request |= {"model": None, "compensated": None, "simulate": False, "trust_code": False}
    seen = []
    assert asyncio.run(Job(request, seen.append).run()) == ""
    assert seen == [{"fields": True}, {"done": True}]

    (tmp_path / "a.vtu").write_text("<VTKFile")
    message = asyncio.run(Job(request, seen.append).run())
    assert message.startswith("a: ")

    async def cancel():
        job = Job(request, seen.append)
        task = asyncio.create_task(job.run())
        await asyncio.sleep(0.1)
        job.cancel()
        return await task

    assert asyncio.run(cancel()) == "cancelled"
