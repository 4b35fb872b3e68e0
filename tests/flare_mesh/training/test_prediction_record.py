import torch
from torch_geometric.data import Batch

from flare_mesh import FLAREOperator, Surrogate
from flare_mesh.surrogate.calibrate import describe_predictions
from flare_mesh.surrogate.coverage_report import coverage_report
from flare_mesh.testing import random_graph
from flare_mesh.training import FieldModule
from flare_mesh.training.prediction_record import PredictionRecord


def case(seed, nodes):
    torch.manual_seed(seed)
    graph = random_graph(nodes, 2)
    return graph.update({"y": torch.randn(nodes, 3), "weight": torch.rand(nodes) + 0.1})


CASES = [case(seed, nodes) for seed, nodes in enumerate((9, 1, 12, 7))]


def module(max_nodes):
    model = FLAREOperator(2, 3, hidden_channels=8, num_layers=1, heads=2, num_latents=3)
    surrogate = Surrogate(model, {"p": 1, "u": 2})
    surrogate.fit_normalizers(CASES)
    made = FieldModule(surrogate).eval()
    made.record = PredictionRecord(max_nodes)
    with torch.no_grad():
        for part in (CASES[:3], CASES[3:]):
            made.test_step(Batch.from_data_list(part))
    return made


def test_recorded_predictions_are_those_of_the_bands():
    made = module(29)
    expected = [*describe_predictions(made.surrogate, CASES)]
    assert len(made.record.cases) == len(CASES)
    for one, other, given in zip(made.record.cases, expected, CASES, strict=True):
        assert torch.equal(one.case.y, given.y)
        for name, values in other.predicted.items():
            torch.testing.assert_close(one.predicted[name], values)
        for kind, values in other.descriptors.items():
            torch.testing.assert_close(one.descriptors[kind], values)
    made.surrogate.calibrate(CASES)
    reports = [coverage_report(made.surrogate, CASES, known) for known in ((), made.record.cases)]
    assert reports[0]["covered"] == reports[1]["covered"]
    # Of predictions that were left out, none is used.
    assert coverage_report(made.surrogate, CASES, made.record.cases[:2])["cases"] == len(CASES)


def test_very_many_nodes_are_not_kept():
    made = module(28)
    assert made.record.cases == []
    assert len(made.test_cases) == len(CASES)
