import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import trimesh

from flare_mesh.datasets import LPBF
from lpbf.core.errors import SolverError
from lpbf.core.heat import Heat
from lpbf.core.process import Process
from lpbf.dataset.case_file import file_digest, read_metadata
from lpbf.dataset.cases import Case, list_cases
from lpbf.dataset.run_case import run_case
from lpbf.dataset.settings import Settings

SMALL = Settings(
    pitch=(4.0, 4.0, 4.0),
    size=(16.0, 24.0),
    min_nodes=30,
    max_volume_error=9.0,
)


@pytest.fixture
def bar(tmp_path):
    """A bar of 12 x 16 x 32 mm along z, as a case from a file."""
    path = tmp_path / "parts" / "bar.stl"
    path.parent.mkdir()
    trimesh.creation.box((12.0, 16.0, 32.0)).export(path)
    return Case("bar_stl", "train", path, "bar.stl")


def test_an_accepted_case(bar, tmp_path):
    outcome = run_case(bar, SMALL, tmp_path)
    assert outcome.rejected == []
    assert outcome.seconds > 0
    path = tmp_path / "train/bar_stl.npz"
    assert outcome.entry["sha256"] == file_digest(path)
    assert outcome.entry["metadata"] == read_metadata(path)
    metadata = outcome.entry["metadata"]
    assert metadata["source"] == "bar.stl"
    assert metadata["rotation"] == np.eye(3).tolist()
    assert metadata["scale"] == 1.0
    assert Process.from_dict(metadata["process"]) == SMALL.process
    assert metadata["extents_mm"] == [12.0, 16.0, 32.0]
    metres = run_case(bar, replace(SMALL, unit="m"), tmp_path)
    assert metres.rejected[0].reason.startswith("bar.stl: 1.2e+04 x 1.6e+04 x 3.2e+04 mm is larger")


def test_cuts_that_fit_some_parts_only(bar, tmp_path):
    high = replace(SMALL, process=Process(release=[{"below": 28.0}, {"below": 29.0}]))
    assert run_case(bar, high, tmp_path).rejected[0].kind == "part"
    reason = run_case(bar, high, tmp_path).rejected[0].reason
    assert reason.startswith("release: cut 2 (below: 29.0) touches no voxel")
    low = replace(SMALL, process=Process(release=[{"box": [[-6, -8, 0], [0, 8, 0]]}]))
    outcome = run_case(bar, low, tmp_path)
    assert outcome.entry["metadata"]["process"]["release"] == low.process.to_dict()["release"]


def test_voxels_that_the_cuts_remove_are_not_in_the_case(bar, tmp_path):
    cuts = Process(release=[{"box": [[-6, -8, 8], [6, 0, 16]]}, {"below": 4.0}])
    outcome = run_case(bar, replace(SMALL, process=cuts), tmp_path)
    data = LPBF(tmp_path)[0]
    metadata = outcome.entry["metadata"]
    # 3 x 4 x 8 voxels without the lowest row, and without a notch of 3 x 2 x 2.
    assert len(data.hexahedron) == metadata["num_elements"] == 3 * 4 * 7 - 3 * 2 * 2
    assert metadata["removed_fraction"] == pytest.approx(24 / 96)
    assert data.num_nodes == metadata["num_nodes"] == outcome.entry["num_nodes"]
    assert sorted(data.hexahedron.unique().tolist()) == list(range(data.num_nodes))
    assert data.pos[:, 2].min() == 4.0
    assert data.edge_index.shape[1] == metadata["num_edges"]


def test_faces_of_procedural_parts_lie_between_the_voxels(tmp_path):
    settings = replace(SMALL, orientations=2, scale=(0.9, 1.2), max_volume_error=0.2)
    for case in list_cases(1, settings):
        metadata = run_case(case, settings, tmp_path).entry["metadata"]
        edges = np.array(metadata["extents_mm"]) * metadata["scale"] / 4
        np.testing.assert_allclose(edges, np.rint(edges), atol=1e-9)
    plain = replace(settings, aligned=False)
    metadata = run_case(case, plain, tmp_path / "plain").entry["metadata"]
    edges = np.array(metadata["extents_mm"]) * metadata["scale"] / 4
    assert np.abs(edges - np.rint(edges)).max() > 1e-3


def test_plate_temperature_of_a_simulated_heat_balance(bar, tmp_path):
    heat = Heat(plate_heat_capacity=100.0, time_steps=2)
    settings = replace(SMALL, process=Process(heat=heat, layer_height=16.0))
    run_case(bar, settings, tmp_path)
    with np.load(tmp_path / bar.file) as file:
        plate = file["plate_temp"]
    assert plate.shape == (3,)
    assert (np.diff([80.0, *plate]) > 0).tolist() == [True, True, False]


def test_share_of_supports_as_a_feature(tmp_path):
    post = trimesh.creation.box((4.0, 8.0, 20.0))
    arm = trimesh.creation.box((20.0, 8.0, 4.0)).apply_translation((8.0, 0.0, 8.0))
    trimesh.boolean.union([post, arm]).export(tmp_path / "arm.stl")
    case = Case("arm_stl", "train", tmp_path / "arm.stl", "arm.stl")
    settings = Settings(
        pitch=(4.0, 4.0, 4.0),
        min_nodes=30,
        max_volume_error=9.0,
        process=Process(supports=True, release=True),
    )
    assert replace(settings, seed=1).process == settings.process
    outcome = run_case(case, settings, tmp_path)
    assert outcome.rejected == []
    assert outcome.entry["metadata"]["process"]["supports"]["angle"] == 45.0
    found = LPBF(tmp_path, inputs=["support_share"])[0]
    # Supports begin at x = 6, beyond the voxel next to the post.
    shared = (found.pos[:, 2] <= 16) & (found.pos[:, 0] >= found.pos[:, 0].min() + 8)
    assert shared.sum() == 4 * 3
    np.testing.assert_allclose(found.x[shared & (found.pos[:, 1] == 0)].amax(), 0.5)
    assert ((found.x[:, 0] > 0) == shared).all()
    run_case(replace(case, name="plain"), SMALL, tmp_path / "plain")
    with pytest.raises(ValueError, match=r"no arrays \['support'\]"):
        LPBF(tmp_path / "plain", inputs=["support_share"])[0]


def test_rotated_and_scaled_cases(bar, tmp_path):
    settings = replace(SMALL, orientations=6, scale=(1.0, 1.2))
    shapes = set()
    for variant in range(6):
        case = replace(bar, name=f"v{variant}", variant=variant)
        metadata = run_case(case, settings, tmp_path).entry["metadata"]
        size = np.abs(metadata["rotation"]) @ [12, 16, 32] * metadata["scale"]
        with np.load(tmp_path / case.file) as file:
            np.testing.assert_allclose(np.ptp(file["pos"], axis=0), size, atol=2.0)
        shapes.add(tuple(np.abs(metadata["rotation"]) @ [0, 0, 1]))
        assert 1.0 <= metadata["scale"] <= 1.2
    assert len(shapes) == 3


def rejection(case, settings, out):
    outcome = run_case(case, settings, out)
    assert outcome.entry is None
    assert not list(out.glob("t*/*.npz"))
    (rejected,) = outcome.rejected
    return rejected.kind, rejected.reason


def test_reasons_of_rejections(bar, tmp_path, monkeypatch):
    def kind_of(**options):
        return rejection(bar, replace(SMALL, **options), tmp_path)

    assert kind_of(min_nodes=500) == (
        "nodes",
        "180 nodes are outside the limits of 500 to 100,000; change the pitch or the limits",
    )
    kind, reason = kind_of(pitch=(7.0, 7.0, 7.0), max_volume_error=0.05, process=Process())
    assert kind == "voxels"
    assert reason.startswith("its voxels hold ")
    assert reason.endswith("over the limit of 5 %; use a finer pitch, or raise the limit")
    kind, reason = kind_of(max_displacement=1e-3)
    assert kind == "displacement"
    assert "mm is over the limit of 0.001 mm" in reason
    bar.part.write_bytes(b"")
    kind, reason = kind_of()
    assert kind == "part"
    assert reason.startswith("bar.stl: ")
    bar.part.unlink()
    assert kind_of() == ("part", "bar.stl: no such file; give the path of a surface file")


def test_failed_and_diverged_solutions_are_rejected(bar, tmp_path, monkeypatch):
    from lpbf.dataset import run_case as module

    def fail(mesh, process):
        raise SolverError("layer 3: residual 0.1 after 2000 iterations")

    simulate = module.simulate
    monkeypatch.setattr(module, "simulate", fail)
    expected = "not converged", "layer 3: residual 0.1 after 2000 iterations"
    assert rejection(bar, SMALL, tmp_path) == expected

    def diverge(mesh, process):
        result = simulate(mesh, process)
        temperature = np.where(np.arange(mesh.num_nodes) == 7, np.nan, result.temperature)
        return replace(result, temperature=temperature)

    monkeypatch.setattr(module, "simulate", diverge)
    assert rejection(bar, SMALL, tmp_path) == ("not finite", "the solution is not finite")


def test_islands_are_a_kind_of_rejection(tmp_path):
    posts = [trimesh.creation.box((8.0, 8.0, 32.0)), trimesh.creation.box((8.0, 8.0, 8.0))]
    bridge = trimesh.creation.box((32.0, 8.0, 8.0))
    posts[0].apply_translation((-12.0, 0.0, 0.0))
    posts[1].apply_translation((12.0, 0.0, 4.0))
    bridge.apply_translation((0.0, 0.0, 12.0))
    hook = trimesh.boolean.union([*posts, bridge], engine="manifold")
    hook.export(tmp_path / "hook.stl")
    case = Case("hook", "test", tmp_path / "hook.stl", "hook.stl")
    kind, reason = rejection(case, replace(SMALL, islands="refuse"), tmp_path)
    assert kind == "islands"
    assert reason.startswith("hook.stl: 2 islands are unsupported")
    # 8 of 64 voxels: 32 of the post, 24 more of the bridge, and 8 that hang.
    kind, reason = rejection(case, replace(SMALL, max_dropped=0.1), tmp_path)
    assert kind == "islands"
    assert reason.startswith(
        "12 % of the part is unsupported when built and would be dropped, over"
    )
    nodes = {}
    for islands in ("drop", "powder"):
        metadata = run_case(case, replace(SMALL, islands=islands), tmp_path).entry["metadata"]
        nodes[islands] = metadata["num_nodes"]
        assert len(metadata["warnings"]) == (islands == "drop")
        assert metadata["dropped_fraction"] == pytest.approx(8 / 64 if islands == "drop" else 0)
    assert nodes["powder"] > nodes["drop"]


def test_a_full_disk_leaves_no_partial_file(bar, tmp_path, monkeypatch):
    write = Path.write_bytes

    def fill(path, content):
        write(path, bytes(content)[:100])
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(Path, "write_bytes", fill)
    with pytest.raises(OSError, match="No space left"):
        run_case(bar, SMALL, tmp_path)
    assert list((tmp_path / "train").iterdir()) == []


def test_all_cases_of_a_part_are_in_one_split(tmp_path):
    for i in range(40):
        (tmp_path / f"{i}.stl").touch()
    settings = replace(SMALL, orientations=5, test_fraction=0.4)
    cases = list_cases(20, settings, tmp_path)
    assert len(cases) == len({case.file for case in cases}) == 300
    splits = {case.part: set() for case in cases}
    for case in cases:
        splits[case.part].add(case.split)
    assert {len(found) for found in splits.values()} == {1}
    assert set.union(*splits.values()) == {"train", "test"}
    assert [c.name for c in cases[-3:]] == [f"part_000019_rotated_{v:02d}" for v in (2, 3, 4)]
