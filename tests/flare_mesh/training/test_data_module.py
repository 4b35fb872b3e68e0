import warnings

import numpy as np
import pytest
import torch
from lightning import Trainer

from flare_mesh.datasets import LPBF
from flare_mesh.training import (
    FieldDataModule,
    ScheduleConfig,
    build_module,
    sizes,
    split_datasets,
)


@pytest.fixture(scope="module")
def points(tmp_path_factory):
    """Cases of 3 to 12 points with a load, a heat and a series of three steps."""
    root = tmp_path_factory.mktemp("points")
    rng = np.random.default_rng(0)
    for number in range(10):
        folder = root / f"case_{number}"
        folder.mkdir()
        count = 3 + number
        np.save(folder / "pos.npy", rng.random((count, 2)))
        np.save(folder / "load.npy", np.full((count, 2), number))
        np.save(folder / "heat.npy", rng.random(count) + 1)
    return root


def point_data(root, **options):
    fields = {"inputs": ["load"], "targets": ["heat"]}
    options = {"options": fields, **options}
    return FieldDataModule("point_folder", str(root), **options)


def trainer(**options):
    quiet = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False}
    return Trainer(
        **{"accelerator": "cpu", "max_epochs": 2, "enable_checkpointing": False, **quiet, **options}
    )


def fit(trainer, *arguments, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(*arguments, **options)
    return trainer.global_step


def test_named_splits(points):
    data = point_data(points, val_split="test")
    assert [len(data.cases(stage)) for stage in ("train", "val", "test")] == [8, 2, 2]
    assert data.case_ids()["val"] == data.case_ids()["test"]
    assert not {*data.case_ids()["val"]} & {*data.case_ids()["train"]}
    assert data.has("val")
    data = point_data(points, test_split=None)
    assert not data.has("val")
    assert data.val_dataloader() == []
    with pytest.raises(ValueError, match="data.test_split is not set; set it to the name"):
        data.test_dataloader()
    with pytest.raises(ValueError, match="unknown split 'trian'"):
        point_data(points, train_split="trian").cases("train")


def test_its_text_opens_no_files_and_chooses_nothing(points):
    data = point_data(points, sample_nodes="auto", batch_size="auto")
    assert str(data) == f"FieldDataModule(point_folder, {points})"
    assert (data.sample_nodes, data.batch_size, data.case_ids()) == ("auto", "auto", {})


@pytest.mark.parametrize("share", [0.25, 0.5, 0.9])
def test_a_share_is_held_out(points, share):
    data = point_data(points, val_split=share)
    train, val = data.cases("train").case_ids, data.cases("val").case_ids
    assert len(val) == round(8 * share)
    assert sorted(train + val) == sorted(point_data(points).cases("train").case_ids)
    assert point_data(points, val_split=share).cases("val").case_ids == val
    case = data.cases("val")[0]
    assert case.case_id == val[0]


def test_a_time_series_is_held_out_as_a_whole(points, tmp_path):
    data = point_data(points, val_split=0.5)
    dataset = data._datasets.open("train", "train")
    names = [f"flow_{i // 5}_t{i % 5}" for i in range(20)]
    dataset.cases, dataset._indices, dataset.window = names, None, (1, 1)
    train, val = ({name[:6] for name in data.cases(stage).case_ids} for stage in ("train", "val"))
    assert len(train) == len(val) == 2
    assert not train & val


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"val_split": 0.0}, "data.val_split: expected a share between 0 and 1"),
        ({"val_split": 1}, "data.val_split: expected a share between 0 and 1"),
        ({"val_split": -0.1}, "data.val_split"),
        ({"val_split": float("nan")}, "data.val_split"),
        ({"val_split": 0.2, "train_options": {"num_points": 2}}, "cannot have other options"),
        ({"num_workers": -1}, "data.num_workers"),
        ({"batch_size": 0}, "data: expected batch_size and max_nodes >= 1"),
        ({"max_nodes": -5}, "data: expected batch_size and max_nodes >= 1"),
        ({"max_nodes": 5, "drop_last": True}, "data: drop_last: .* leave out drop_last"),
        ({"options": {"target": ["heat"]}}, "no option 'target'; did you mean 'targets'"),
        ({"options": {"targets": "heat"}}, "expected a list of names"),
        ({"test_options": {"zzz": 1}}, "no option 'zzz'"),
        ({"features": ["build_feature"]}, "did you mean 'build_features'"),
        ({"features": {"add_noise": {"std": {}}}}, "expected a list of transforms"),
        ({"augment": [{"random_nodes": 5}]}, "expected a mapping of its options"),
    ],
)
def test_wrong_options_are_refused_before_files_are_opened(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        point_data(tmp_path / "none", **options)


def test_too_few_cases(points):
    with pytest.raises(ValueError, match="share of 0.01 of 8 cases leaves no val cases"):
        point_data(points, val_split=0.01).cases("val")
    data = point_data(points, batch_size=9, drop_last=True)
    with pytest.raises(ValueError, match="8 cases do not fill one batch of 9 on 1 processes"):
        data.train_dataloader()
    with pytest.raises(FileNotFoundError):
        point_data(points / "none").recipe()


def test_options_of_each_role(points):
    data = point_data(points, val_split="train", train_options={"num_points": 2},
                      test_options={"num_points": 3})  # fmt: skip
    sizes = {stage: {len(case.pos) for case in data.cases(stage)} for stage in ("train", "val")}
    assert sizes == {"train": {2}, "val": {3}}
    other = point_data(points, test_options={"targets": ["load"], "inputs": ["heat"]})
    other.recipe()
    with pytest.raises(ValueError, match=r"the inputs are {'heat': 1} in the test cases and"):
        other.cases("test")


def test_recipe(points, lpbf_root):
    found = point_data(points).recipe()
    assert (found.dataset, found.pos_dim, found.in_channels) == ("PointFolder", 2, 2)
    assert (found.inputs, found.targets) == ({"load": 2}, {"heat": 1})
    assert found.window is None
    assert found.grid_shape is None
    found = point_data(points, options={"targets": ["heat", "load"]}).recipe()
    assert (found.in_channels, found.inputs) == (0, {})
    assert found.targets == {"heat": 1, "load": 2}
    found = FieldDataModule("lpbf", str(lpbf_root), features=["build_features"]).recipe()
    assert (found.in_channels, found.inputs, found.features) == (14, {}, ["build_features"])
    assert found.targets == {"displacement": 3, "von_mises": 1}
    assert found.units["displacement"] == "mm"
    assert found.info["pitch"] == [4.0, 4.0, 4.0]


def batches(data, epoch=0):
    loader = data.train_dataloader()
    loader.case_sampler.set_epoch(epoch)
    return list(loader)


@pytest.mark.parametrize("more", [{}, {"val_split": 0.25}, {"num_workers": 2}])
def test_in_memory_or_not(lpbf_root, more):
    options = {
        "features": ["build_features"],
        "augment": [{"random_nodes": {"num_nodes": 20}}, "random_square_symmetry"],
        "batch_size": 2,
        "seed": 4,
    }
    found = [
        batches(FieldDataModule("lpbf", str(lpbf_root), in_memory=kept, **options, **more), 1)
        for kept in (True, False)
    ]
    for ours, theirs in zip(*found, strict=True):
        assert ours.case_id == theirs.case_id
        for key in ("pos", "x", "y", "ptr", "case_weight"):
            assert torch.equal(ours[key], theirs[key])


def test_a_resumed_run_samples_the_same_points(points):
    options = {"targets": ["heat"], "num_points": 2}
    data = [point_data(points, options=options, seed=1) for _ in range(2)]
    torch.manual_seed(0)
    expected = batches(data[0], 3)
    torch.manual_seed(1)
    data[1].recipe()
    for ours, theirs in zip(batches(data[1], 3), expected, strict=True):
        assert torch.equal(ours.pos, theirs.pos)
    assert not torch.equal(batches(data[1], 4)[0].pos, expected[0].pos)
    first, again = (list(data[1].test_dataloader()) for _ in range(2))
    assert all(torch.equal(a.pos, b.pos) for a, b in zip(first, again, strict=True))


def test_max_nodes(points):
    data = point_data(points, max_nodes=20, val_split="test", batch_size=2)
    found = batches(data)
    assert all(len(batch.pos) <= 20 for batch in found)
    assert len(found) < 8
    assert len(data.val_dataloader()) == 1
    with pytest.warns(UserWarning, match="8 of 8 training cases have more nodes than data.max_n"):
        assert [len(batch) for batch in batches(point_data(points, max_nodes=1))] == [1] * 8


@pytest.mark.parametrize("in_memory", [False, True])
def test_edges_only_if_needed(lpbf_root, in_memory):
    data = FieldDataModule("lpbf", str(lpbf_root), in_memory=in_memory, batch_size=6)
    assert "edge_index" not in batches(data)[0]
    data.edges = True
    batch = batches(data)[0]
    dataset = LPBF(lpbf_root)
    cases = {name: dataset[i] for i, name in enumerate(dataset.cases)}
    parts = [cases[name].edge_index for name in batch.case_id]
    moved = [edges + int(start) for edges, start in zip(parts, batch.ptr, strict=False)]
    assert torch.equal(batch.edge_index, torch.cat(moved, 1))


@pytest.fixture
def small():
    def build(data):
        sizes = {"hidden_channels": 8, "num_layers": 1, "heads": 2, "num_latents": 2}
        return build_module(data, options=sizes, schedule=ScheduleConfig("constant"))

    return build


def test_a_run_after_a_resumed_one_starts_at_the_first_case(points, tmp_path, small):
    data = point_data(points, batch_size=2)
    first = trainer()
    assert fit(first, small(data), datamodule=data) == 8
    first.save_checkpoint(tmp_path / "last.ckpt")
    module = small(data)
    assert fit(trainer(max_epochs=3), module, datamodule=data, ckpt_path=tmp_path / "last.ckpt")
    assert fit(trainer(), small(data), datamodule=data) == 8


def test_overfitting_is_refused(points, small):
    data = point_data(points)
    with pytest.raises(ValueError, match="trainer.overfit_batches: .*limit_train_batches"):
        fit(trainer(overfit_batches=1), small(data), datamodule=data)


def test_lightning_leaves_the_sampler_of_several_processes_alone(points):
    loader = point_data(points).train_dataloader()
    assert isinstance(loader.sampler, torch.utils.data.DistributedSampler)
    assert loader.sampler is loader.case_sampler


def test_the_message_about_a_relative_root_has_the_current_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"data.root is data, relative to {tmp_path}"):
        FieldDataModule("lpbf", "data").cases("train")


def test_weights_do_not_depend_on_what_a_data_set_draws_when_it_is_opened(points, monkeypatch):
    def weights():
        torch.manual_seed(0)
        module = build_module(
            point_data(points),
            options={"hidden_channels": 8, "num_layers": 1, "heads": 1, "num_latents": 2},
        )
        return torch.cat([p.detach().reshape(-1) for p in module.parameters()])

    expected = weights()
    real = split_datasets.build
    monkeypatch.setattr(split_datasets, "build", lambda *a, **k: (torch.rand(3), real(*a, **k))[1])
    assert torch.equal(weights(), expected)


def test_nodes_are_drawn_as_by_the_transform_before_the_others(points):
    noise, draw = {"add_noise": {"std": {"x": 0.1}}}, {"random_nodes": {"num_nodes": 4}}
    given = point_data(points, batch_size=3, augment=[draw, noise])
    drawn = point_data(points, batch_size=3, augment=[noise], sample_nodes=4)
    for expected, found in zip(given.train_dataloader(), drawn.train_dataloader(), strict=True):
        for key in ("pos", "x", "y", "ptr"):
            torch.testing.assert_close(found[key], expected[key], rtol=0, atol=0)
    assert any(len(batch.pos) > 4 for batch in drawn.test_dataloader())


def test_auto_fits_the_cases(points):
    data = point_data(points, batch_size="auto", sample_nodes="auto")
    assert data.resolve() == (2, None)  # eight small cases
    assert (data.batch_size, data.sample_nodes) == (2, None)
    with pytest.raises(ValueError, match=r"data.batch_size: .* 'auto' and max_nodes=9"):
        point_data(points, batch_size="auto", max_nodes=9)


def test_no_nodes_are_drawn_from_an_input_field(points, monkeypatch):
    monkeypatch.setattr(sizes, "WHOLE_NODES", 2)
    for inputs, sample in ((["load"], 256), (["heat", "load"], None)):
        fields = {"inputs": inputs, "targets": ["heat"]}
        data = point_data(points, options=fields, sample_nodes="auto")
        assert data.resolve() == (1, sample)
