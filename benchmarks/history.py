"""Does a surrogate that sees the earlier steps predict better, and what does a step cost?

    python benchmarks/history.py [--tables moving fixed cost] [--seeds 3] [--steps 200]

Heat flows in a unit square with cold edges. The diffusivity, between 1 and 20 in some unit, differs
from series to series and is not an input: one instant does not show it, the change from one instant
to the next does. The fields are sums of eigenmodes, whose decay is exact, and have the mean square
1 at the last known instant, so that the size of a field does not show its past.

``moving``: there are six instants, each with its own points. From the temperature at the points of
an instant the model predicts the temperature at the same points four steps later. The error is that
of the last instant. All steps are trained at once.
``fixed``: the points stay where they are; four steps are known and four are predicted, with the
model's own predictions fed back. In each table all models have two blocks of 32 channels, the same
series, the same number of optimiser steps and the same rate, which is tuned for none of them.

``cost``: the time of a step of one series, and the size of its state, after 10 steps and after 200;
the state is checked to be that of all steps at once.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Batch, Data

from flare_mesh import FLAREOperator
from flare_mesh.baselines import NodeMLP
from flare_mesh.surrogate.rollout import Rollout
from flare_mesh.surrogate.surrogate import Surrogate
from flare_mesh.testing import random_graph
from flare_mesh.training.unroll import RolloutConfig, unroll

NODES, MODES, TRAINING, TEST = (24, 48), 2, 400, 100
KNOWN, PREDICTED = 4, 4  # steps with fixed points
INSTANTS, LEAD = 6, 4  # steps with moving points
SIZES = {"hidden_channels": 32, "num_layers": 2, "heads": 4, "num_latents": 16, "pos_dim": 2,
         "kv_layers": -1, "ffn_layers": 1, "head_layers": 1}  # fmt: skip
FIXED: dict[str, tuple[str | None, int]] = {
    "the last step": (None, 1),
    "the known steps side by side": (None, KNOWN),
    "one step after the other, `equal`": ("equal", KNOWN),
    "one step after the other, `fading`": ("fading", KNOWN),
}
"""History and known steps of each model."""
MOVING: dict[str, str | None] = {
    "the last step": None,
    "all steps so far, `equal`": "equal",
    "all steps so far, `fading`": "fading",
}


class Plate:
    """Temperature of a plate at any points and times. The models do not get its diffusivity.

    Args:
        now: Last known instant, at which the mean square over the plate is 1.
    """

    def __init__(self, generator: torch.Generator, now: int) -> None:
        number = torch.arange(1.0, MODES + 1)
        self.now, self.wave = now, torch.cartesian_prod(number, number)
        diffusivity = 0.005 * 20 ** torch.rand(1, generator=generator)
        self.decay = diffusivity * self.wave.square().sum(1)
        amplitude = torch.randn(len(self.wave), generator=generator)
        self.amplitude = 2 * amplitude / amplitude.norm()

    def __call__(self, pos: Tensor, times: Tensor) -> Tensor:
        modes = (torch.pi * pos[:, None] * self.wave).sin().prod(-1)
        return modes @ (self.amplitude * (self.decay * (self.now - times[:, None])).exp()).T


def points(generator: torch.Generator) -> Tensor:
    count = int(torch.randint(*NODES, (1,), generator=generator))
    return torch.rand(count, 2, generator=generator)


def fixed_series(count: int, seed: int) -> list[Data]:
    """Known steps x and steps y to predict, at the same points."""
    generator, cases = torch.Generator().manual_seed(seed), []
    for _ in range(count):
        plate, pos = Plate(generator, KNOWN - 1), points(generator)
        values = plate(pos, torch.arange(KNOWN + PREDICTED))
        cases.append(Data(pos=pos, x=values[:, :KNOWN], y=values[:, KNOWN:]))
    return cases


def moving_series(count: int, seed: int) -> list[list[Data]]:
    """Steps of series: the value x now, and y later, at points of each step."""
    generator, series = torch.Generator().manual_seed(seed), []
    for _ in range(count):
        plate, steps = Plate(generator, INSTANTS - 1), []
        for instant in range(INSTANTS):
            pos = points(generator)
            now, later = plate(pos, torch.tensor([instant, instant + LEAD])).split(1, 1)
            steps.append(Data(pos=pos, x=now, y=later))
        series.append(steps)
    return series


def relative(predicted: Tensor, batch: Any) -> Tensor:
    """Relative L2 errors of the graphs of a batch."""
    squares = torch.stack([(predicted - batch.y).square().sum(1), batch.y.square().sum(1)])
    sums = squares.new_zeros(2, batch.num_graphs).index_add(1, batch.batch, squares)
    return (sums[0] / sums[1]).sqrt()


def optimise(model: FLAREOperator, loss: Callable[[], Tensor], steps: int) -> float:
    """Train a model, and return the seconds."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    start = time.process_time()
    for _ in range(steps):
        optimizer.zero_grad()
        loss().backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return time.process_time() - start


def draw(cases: Sequence[Any]) -> list[Any]:
    return [cases[i] for i in torch.randint(len(cases), (8,)).tolist()]


def fixed(name: str, steps: int, seed: int) -> tuple[float, float]:
    """Error and seconds of a model of series on fixed points."""
    history, known = FIXED[name]
    cases, test = (
        [Data(pos=case.pos, x=case["x"][:, -known:], y=case.y) for case in fixed_series(*given)]
        for given in ((TRAINING, 0), (TEST, 1))
    )
    torch.manual_seed(seed)
    model = FLAREOperator(1 if history else known, 1, **SIZES, history=history)
    rollout = Rollout(
        {"T_in": known}, {"T_out": PREDICTED}, known, PREDICTED, 1 if history else None
    )
    surrogate = Surrogate(model, rollout.fields, inputs=rollout.inputs, rollout=rollout)
    surrogate.fit_normalizers(cases)

    def loss() -> Tensor:
        batch: Any = Batch.from_data_list(draw(cases))
        return relative(unroll(surrogate, batch, RolloutConfig()), batch).mean()

    seconds = optimise(model, loss, steps)
    batch: Any = Batch.from_data_list([*test])
    with torch.no_grad():
        return 100 * float(relative(surrogate.eval()(batch), batch).mean()), seconds


def moving(name: str, steps: int, seed: int) -> tuple[float, float]:
    """Error and seconds of a model of series on moving points."""
    history = MOVING[name]
    series, test = moving_series(TRAINING, 0), moving_series(TEST, 1)
    torch.manual_seed(seed)
    model = FLAREOperator(1, 1, **SIZES, history=history)
    given = {"series": INSTANTS} if history else {}

    def errors(some: Sequence[list[Data]]) -> Tensor:
        batch: Any = Batch.from_data_list([step for one in some for step in one])
        return relative(model(batch, **given), batch).view(-1, INSTANTS)

    seconds = optimise(model, lambda: errors(draw(series)).mean(), steps)
    with torch.no_grad():
        return 100 * float(errors(test)[:, -1].mean()), seconds


def row(name: str, errors: Sequence[float], seconds: Sequence[float] = ()) -> None:
    spread = f" ± {statistics.stdev(errors):.1f}" if len(errors) > 1 else ""
    spent = f"{statistics.mean(seconds):.0f}" if seconds else ""
    print(f"| {name} | {statistics.mean(errors):.1f}{spread} | {spent} |", flush=True)


def simple(name: str, test: Sequence[Data], predict: Callable[[Data], Tensor]) -> None:
    """Row of a prediction without FLARE."""
    batch: Any = Batch.from_data_list([*test])
    predicted = torch.cat([predict(case) for case in test]).float()
    row(name, [100 * float(relative(predicted, batch).mean())])


def node_mlp(cases: Sequence[Data], test: Sequence[Data], steps: int) -> None:
    network = NodeMLP(steps=steps, batch_nodes=512)
    network.fit(cases)
    simple("MLP at each node", test, network.predict)


def compare(table: str, seeds: int, steps: int) -> None:
    print(f"\n| {table} points: prediction from | relative L2 error, % | s of training |")
    print("|---|---:|---:|")
    if table == "fixed":
        cases, test = fixed_series(TRAINING, 0), fixed_series(TEST, 1)
        ahead = torch.arange(1, PREDICTED + 1)
        simple("the last step, unchanged", test, lambda c: c["x"][:, -1:].expand(-1, PREDICTED))
        simple(
            "the last two steps, on a straight line",
            test,
            lambda c: c["x"][:, -1:] + ahead * (c["x"][:, -1:] - c["x"][:, -2:-1]),
        )
        models, train = FIXED, fixed
    else:
        cases, test = (
            [one[-1] for one in moving_series(*given)] for given in ((TRAINING, 0), (TEST, 1))
        )
        simple("the last step, unchanged", test, lambda c: c["x"])
        models, train = MOVING, moving
    node_mlp(cases, test, steps)
    for name in models:
        found = [train(name, steps, seed) for seed in range(seeds)]
        row(f"FLARE, {name}", [one for one, _ in found], [spent for _, spent in found])


def cost(sizes: Sequence[int], steps: int = 200, window: int = 10) -> None:
    model = FLAREOperator(1, 1, **SIZES, history="fading").eval()
    print("\n| nodes | ms a step, first 10 | ms a step, steps 191 to 200 | state, kB |")
    print("|---:|---:|---:|---:|")
    for nodes in sizes:
        graph = random_graph(nodes, 1, pos_dim=2, seed=0)
        state, spent = None, []
        with torch.no_grad():
            model(graph, return_state=True)  # compiled loops are loaded
            for number in range(steps):
                start = time.process_time()
                _, state = model(graph, state=state, return_state=True)
                spent.append(1e3 * (time.process_time() - start))
                if number == window - 1:
                    several = Batch.from_data_list([graph] * window)
                    _, together = model(several, series=window, return_state=True)
                    torch.testing.assert_close(tuple(together), tuple(state), rtol=1e-4, atol=1e-4)
        assert state is not None
        size = sum(t.numel() * t.element_size() for t in state) / 1e3
        first, last = (statistics.median(part) for part in (spent[:window], spent[-window:]))
        print(f"| {nodes:,} | {first:.2f} | {last:.2f} | {size:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    tables = ("moving", "fixed", "cost")
    parser.add_argument("--tables", nargs="+", choices=tables, default=tables)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    start = time.process_time()
    for table in options.tables:
        if table == "cost":
            cost((256, 1024, 4096))
        else:
            compare(table, options.seeds, options.steps)
    print(f"\n{time.process_time() - start:.0f} s of CPU time")


if __name__ == "__main__":
    main()
