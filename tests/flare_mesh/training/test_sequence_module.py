import math

import numpy as np
import pytest
import torch
from lightning import Trainer
from torch_geometric.data import Data

from flare_mesh.models import SequenceModel
from flare_mesh.training.build_sequences import build_sequence_module
from flare_mesh.training.optimizers import OptimizerConfig
from flare_mesh.training.schedules import ScheduleConfig
from flare_mesh.training.sequence_data_module import SequenceDataModule
from flare_mesh.training.sequence_module import SequenceModule

pytestmark = pytest.mark.filterwarnings("ignore")  # of Lightning

SMALL = {"hidden_channels": 8, "num_layers": 1, "heads": 2, "mixer": "linear"}


class Words:
    """Random words of a random length, whose class is the first token's half of the vocabulary."""

    num_classes, vocabulary_size, max_length, validation_is_test = 2, 6, 9, False
    in_channels: int | None = None
    class_names = ("low", "high")

    def __init__(self, count, documents=1, seed=0):
        rng = np.random.default_rng(seed)
        self.documents = documents
        sizes = rng.integers(1, 10, (count, documents))
        self.words = [[rng.integers(0, 6, size) for size in row] for row in sizes]
        self.labels = np.array([row[0][0] // 3 for row in self.words])
        self.lengths = sizes.sum(1)

    def __len__(self):
        return len(self.words)

    def __getitem__(self, index):
        words = self.words[index]
        data = Data(
            token=torch.from_numpy(np.concatenate(words)), y=torch.tensor([self.labels[index]])
        )
        if self.documents == 2:
            data.length = torch.tensor([[len(word) for word in words]])
        return data


class Values(Words):
    """The same words, each with two values."""

    in_channels = 2

    def __getitem__(self, index):
        data = super().__getitem__(index)
        word = data.token / 6
        return Data(x=torch.stack([word, 1 - word], dim=1), y=data.y)


def data(count=40, documents=1, **options):
    sets = (Words(count, documents, seed) for seed in range(3))
    return SequenceDataModule.from_sequences(*sets, **options)


def batches(module, epoch=0):
    loader = module.train_dataloader()
    loader.case_sampler.set_epoch(epoch)
    return list(loader)


def test_batches_by_a_number_of_tokens():
    found = batches(data(max_tokens=24))
    assert max(len(batch.tokens) for batch in found) <= 24
    assert sorted(i for batch in found for i in batch.samples) == list(range(40))
    words = Words(40)
    for batch in found:
        alone = np.concatenate([words.words[i][0] for i in batch.samples])
        assert batch.tokens.tolist() == alone.tolist()
        assert batch.ptr.diff().tolist() == words.lengths[batch.samples].tolist()
        assert batch.y.tolist() == words.labels[batch.samples].tolist()
        torch.testing.assert_close(batch.weight, torch.full((len(batch.y),), 1 / len(batch.y)))
    again, other = batches(data(max_tokens=24)), batches(data(max_tokens=24), epoch=1)
    assert [batch.samples for batch in again] == [batch.samples for batch in found]
    assert [batch.samples for batch in other] != [batch.samples for batch in found]
    assert len(other) == len(found)  # the schedule is made for a number of steps


def test_pairs_have_the_offsets_of_both_documents():
    (batch,) = batches(data(5, documents=2, batch_size=5))
    words = Words(5, documents=2).words
    lengths = [len(word) for i in batch.samples for word in words[i]]
    assert batch.ptr.tolist() == [0, *np.cumsum(lengths).tolist()]
    assert build_sequence_module(data(5, documents=2), options=SMALL).model.documents == 2


def test_continuous_values():
    module = SequenceDataModule.from_sequences(Values(5), batch_size=5)
    (batch,) = batches(module)
    alone = np.concatenate([Words(5).words[i][0] for i in batch.samples])
    torch.testing.assert_close(batch.tokens[:, 0], torch.from_numpy(alone) / 6)
    assert batch.ptr.diff().tolist() == Words(5).lengths[batch.samples].tolist()
    trained = build_sequence_module(module, options=SMALL)
    assert (trained.model.embedding.in_features, trained.model.config["num_tokens"]) == (2, None)
    assert trained._loss(trained.model, batch)[0].isfinite()
    with pytest.raises(ValueError, match="in_channels: the data set 'lra_listops' has 2; leave"):
        build_sequence_module(module, options=SMALL | {"in_channels": 3})


def test_loss_and_accuracy_are_means_over_the_samples():
    torch.manual_seed(0)
    module = data(batch_size=7)
    trained = build_sequence_module(
        module, options=SMALL, ema=0.5, optimizer=OptimizerConfig(lr=1e-2)
    )
    trainer = Trainer(
        max_epochs=2, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(trained, datamodule=module)
    metrics = {key: float(value) for key, value in trainer.callback_metrics.items()}
    words = Words(40, seed=1)
    for name, model in (("val", trained.model), ("val_ema", trained.ema.module)):
        scores = torch.cat([model(words[i].token) for i in range(40)]).detach().double()
        losses = [-scores[i].log_softmax(0)[y] for i, y in enumerate(words.labels)]
        correct = scores.argmax(1).numpy() == words.labels
        assert metrics[f"{name}_loss"] == pytest.approx(float(sum(losses)) / 40, rel=1e-5)
        assert metrics[f"{name}_accuracy"] == pytest.approx(correct.mean())
    assert metrics["val_loss"] != metrics["val_ema_loss"]
    assert 0 < metrics["train_loss"] < 2 * math.log(2)
    trainer.test(trained, datamodule=module, verbose=False)
    rows = trained.test_cases
    assert [row["case"] for row in rows] == list(range(40))
    assert [row["label"] for row in rows] == Words(40, seed=2).labels.tolist()
    share = np.mean([row["label"] == row["predicted"] for row in rows])
    assert float(trainer.callback_metrics["test_accuracy"]) == pytest.approx(share)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["adamw", "muon"])
def test_it_learns_the_class(name):
    torch.manual_seed(0)
    module = data(200, batch_size=20)
    options = {**SMALL, "pool": "class", "mixer": "softmax"}
    trained = build_sequence_module(
        module, options=options, optimizer=OptimizerConfig(name=name, lr=2e-2),
        schedule=ScheduleConfig(name="constant"),
    )  # fmt: skip
    trainer = Trainer(
        max_epochs=12, accelerator="cpu", logger=False, enable_checkpointing=False,
        enable_progress_bar=False, enable_model_summary=False, limit_val_batches=0,
    )  # fmt: skip
    trainer.fit(trained, datamodule=module)
    trainer.test(trained, datamodule=module, verbose=False)
    assert float(trainer.callback_metrics["test_accuracy"]) > 0.9


def test_weights_of_another_run(tmp_path):
    given = build_sequence_module(data(), options=SMALL).model
    given.save(tmp_path / "model")
    again = build_sequence_module(data(), options=SMALL, weights=str(tmp_path)).model
    assert torch.equal(given.head[0].weight, again.head[0].weight)
    with pytest.raises(ValueError, match="another model.*heads is 1 here, 2 in the"):
        build_sequence_module(data(), options=SMALL | {"heads": 1}, weights=str(tmp_path))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_length": 5}, "model.options.max_length: .*up to 9 tokens .got 5"),
        (
            {"mixer": "linformer", "mixer_options": {"max_nodes": 8}},
            "mixer_options.max_nodes: .*up to 9 tokens .got 8",
        ),
        ({"num_classes": 3}, "num_classes: the data set 'lra_listops' has 2; leave it out"),
        ({"mixers": "linear"}, "no option 'mixers'; did you mean 'mixer'"),
        ({"mixer": "linaer"}, "did you mean 'linear'"),
        ({"heads": 3}, "model.options: .*divisible"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build_sequence_module(data(), options={**SMALL, **options})


def test_other_models_are_refused():
    with pytest.raises(ValueError, match="expected 'sequence'.*'causal_lm' .which predicts tokens"):
        build_sequence_module(data(), "causal_lm")
    for wrong in ({"batch_size": 0}, {"max_tokens": 0}, {"epoch_batches": 0}, {"num_workers": -1}):
        with pytest.raises(ValueError, match="expected at least"):
            data(**wrong)
    with pytest.raises(ValueError, match="never full"):
        data(max_tokens=9, drop_last=True)


def test_a_checkpoint_of_a_surrogate_is_refused():
    module = SequenceModule(SequenceModel(2, num_tokens=6, max_length=9, **SMALL))
    with pytest.raises(ValueError, match="another kind of model"):
        module.on_load_checkpoint({"flare_mesh": {"surrogate": "{}"}})
