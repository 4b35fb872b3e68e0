from pathlib import Path
from random import Random

import pytest

from flare_mesh.io.mesh_formats import MESH_FORMATS
from tests.fuzz.campaign import FAULTS, _kind, run_campaign
from tests.fuzz.mesh_seeds import MESHES
from tests.fuzz.mutators import MUTATORS, mutate
from tests.fuzz.targets import TARGETS


def test_every_mesh_format_has_a_seed():
    entries = {Path(entry).suffix for entry, _ in MESHES.values()}
    missing = [form.name for form in MESH_FORMATS if not entries.intersection(form.suffixes)]
    # Fluent's .cas is the same format as its .msh.
    assert missing == ["Fluent"]


@pytest.mark.parametrize("mutator", sorted({*MUTATORS}, key=lambda one: one.__name__))
def test_mutations_change_files_and_repeat(mutator):
    data = b"solid 1.5\nvertex 2 3 4\nvertex 5 6 7\nendsolid\n"
    changed = [mutator(data, Random(seed)) for seed in range(20)]
    assert changed == [mutator(data, Random(seed)) for seed in range(20)]
    assert len({*changed, data}) > 5


def test_mutations_of_members_of_an_archive(tmp_path):
    TARGETS["npz"].write(tmp_path)
    data = (tmp_path / "train/a.npz").read_bytes()
    names = {mutate(data, Random(seed))[0] for seed in range(60)}
    assert any(name.startswith("member ") for name in names)
    assert not all(name.startswith("member ") for name in names)


def test_kinds_of_accepted_files():
    seed = {"pos": "a", "cell_index": "b", "cell_type": "c", "u": "d"}
    fewer = {key: seed[key] for key in ("pos", "cell_index", "cell_type")}
    cases = [(seed, True), (fewer, True), ({**seed, "u": "e"}, True), (fewer, False)]
    kinds = [_kind({"warned": 0, "digest": found}, seed, cut) for found, cut in cases]
    assert kinds == ["unchanged", "fewer fields", "cut accepted", "changed"]
    assert _kind({"warned": 1, "digest": {"u": "e"}}, seed, True) == "cut, warned"


@pytest.mark.slow
def test_short_campaign(tmp_path):
    found = run_campaign(files=10 * len(TARGETS), keep=tmp_path)
    counts = found.total()
    assert counts.total() == 10 * len(TARGETS)
    assert not [fault for fault in found.faults if fault["kind"] in (*FAULTS, "cut accepted")]
    # The mutations reach the readers, and the readers refuse most of them.
    assert counts["refused"] > 0.6 * counts.total()
    assert counts["changed"] > 0
