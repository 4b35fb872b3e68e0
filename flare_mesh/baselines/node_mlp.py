"""A network for each node on its own."""

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Data

from flare_mesh.baselines.case_values import targets
from flare_mesh.baselines.node_features import NodeFeatures


class NodeMLP:
    """A multilayer perceptron from the features of a node to its targets.

    It sees nothing of the other nodes, except through the bounding box in
    :class:`~flare_mesh.baselines.node_features.NodeFeatures`. Trained by AdamW, with one cycle of
    the learning rate, for the squared error over the squared norm of each case's target.

    Args:
        hidden_channels: Width of the hidden layers.
        hidden_layers: Number of hidden layers.
        steps: Number of training steps.
        batch_nodes: Nodes drawn in each step.
        lr: Largest learning rate.
        seed: Seed of the weights and of the drawn nodes.
    """

    def __init__(
        self,
        *,
        hidden_channels: int = 128,
        hidden_layers: int = 3,
        steps: int = 2000,
        batch_nodes: int = 4096,
        lr: float = 3e-3,
        seed: int = 0,
    ) -> None:
        self.hidden_channels = hidden_channels
        self.hidden_layers = hidden_layers
        self.steps = steps
        self.batch_nodes = batch_nodes
        self.lr = lr
        self.seed = seed

    def fit(self, cases: Sequence[Data]) -> None:
        self._features, features = NodeFeatures.fit(cases)
        x = _float32(features)
        y = np.concatenate([targets(case) for case in cases])
        deviation = y.std(0)
        self._mean, self._scale = y.mean(0), np.where(deviation > 0, deviation, 1)
        norms = [np.square(targets(case) / self._scale).mean() for case in cases]
        typical = float(np.mean(norms)) or 1.0
        sizes = [len(case["pos"]) for case in cases]
        # A case whose target is zero has no relative error.
        weight = _float32(np.repeat([typical / max(norm, 1e-6 * typical) for norm in norms], sizes))
        goal = _float32((y - self._mean) / self._scale)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self._network = self._build(x.shape[1], goal.shape[1])
            self._train(x, goal, weight)

    def _build(self, inputs: int, outputs: int) -> nn.Sequential:
        sizes = [inputs, *[self.hidden_channels] * self.hidden_layers]
        layers: list[nn.Module] = []
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.GELU()]
        return nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))

    def _train(self, x: Tensor, goal: Tensor, weight: Tensor) -> None:
        optimizer = torch.optim.AdamW(self._network.parameters(), lr=self.lr, weight_decay=1e-5)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=self.steps)
        for _ in range(self.steps):
            drawn = torch.randint(len(x), (min(self.batch_nodes, len(x)),))
            error = (self._network(x[drawn]) - goal[drawn]).square().mean(1)
            loss = (error * weight[drawn]).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()

    def predict(self, case: Data) -> Tensor:
        with torch.no_grad():
            found = self._network(_float32(self._features(case)))
        return torch.from_numpy(found.double().numpy() * self._scale + self._mean)


def _float32(values: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
