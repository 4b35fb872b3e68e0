"""Heat flows between the active voxels, and from them to plate, powder and gas."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lpbf.core.heat import Heat
from lpbf.core.material import Material
from lpbf.core.mesh import HexMesh
from lpbf.core.table import as_table
from lpbf.core.tensor_table import TensorTable
from lpbf.core.wall_grid import wall_grid_conduction
from lpbf.heat import heat_kernels
from lpbf.solve.cell_stencil import CellStencil

TO_PLATE, TO_POWDER, TO_GAS = 0, 1, 2
_OFFSETS = ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))
_BELOW, _ABOVE = 4, 5
_AXIS = [0, 0, 0, 0, 1, 1]  # of each face: in the plane or vertical


@dataclass(frozen=True)
class HeatBalance:
    """Heat of a time step, J.

    Attributes:
        gain: Heat that the cells store.
        lost: Heat lost to plate, powder and gas.
        absolute_gain: Sum of the absolute heat that each cell stores.
        error: Sum of the absolute residuals of the cells.
    """

    gain: float
    lost: tuple[float, float, float]
    absolute_gain: float
    error: float

    @property
    def exchanged(self) -> float:
        """Sum of the absolute heat changes of all cells and surroundings."""
        return self.absolute_gain + sum(abs(value) for value in self.lost)


@dataclass(frozen=True)
class HeatFlow:
    """Linear heat flows out of the active cells, A T - b in W.

    Attributes:
        matrix: A, in W/K.
        conductance: Conductance of each cell to plate, powder and gas, [3, n], W/K.
        surroundings: Temperature of plate, powder and gas, [3], degrees Celsius.
    """

    matrix: CellStencil
    conductance: Tensor
    surroundings: Tensor

    def balance(
        self, temperature: Tensor, gain: Tensor, time_step: float
    ) -> tuple[Tensor, HeatBalance]:
        """Residual -gain - time_step (A T - b) of each cell, [n] in J, and the sums over the cells.

        Args:
            temperature: [n], degrees Celsius.
            gain: Heat that each cell stores in the time step, [n], J.
            time_step: s.
        """
        if heat_kernels.can_run(temperature):
            residual = torch.empty_like(temperature)
            total, plate, powder, gas, size, error = heat_kernels.balance(
                temperature.numpy(),
                gain.numpy(),
                self.matrix.links.numpy(),
                self.matrix.neighbours.numpy(),
                self.conductance.numpy(),
                self.surroundings.numpy(),
                time_step,
                residual.numpy(),
            )
            return residual, HeatBalance(total, (plate, powder, gas), size, error)
        losses = time_step * self.conductance * (temperature - self.surroundings[:, None])
        residual = -gain - losses.sum(0) - time_step * self.matrix.exchange(temperature)
        plate, powder, gas = losses.sum(1).tolist()
        sums = torch.stack([gain.sum(), gain.abs().sum(), residual.abs().sum()])
        total, size, error = sums.tolist()
        return residual, HeatBalance(total, (plate, powder, gas), size, error)


class Conduction:
    """Cell-centred finite volumes with two-point fluxes on the active voxels.

    Two neighbours conduct in series, A / (h/2k + h/2k'); a face to the surroundings has the half
    voxel and the film in series, A / (h/2k + 1/coefficient). The scheme conserves energy and no
    temperature leaves the range of the cells and their surroundings.

    A cell of supports conducts like a grid of walls (:func:`wall_grid_conduction`). Upwards and
    downwards only the section of its walls faces plate, powder and gas; at the sides it is the
    whole face, like an outer wall.

    Args:
        mesh: The part and its supports.
        cell_layer: Layer of each cell, [E], rising.
        material: Material with a conductivity.
        heat: Coefficients and temperatures of the surroundings.
        fraction: Volume fraction of the metal in each cell, [E]; None for 1.
        device: Device of the tensors.

    Attributes:
        conductivity: Conductivity in W/(m K) of temperatures in degrees Celsius.

    Raises:
        ValueError: If the material has no conductivity.
    """

    def __init__(
        self,
        mesh: HexMesh,
        cell_layer: NDArray[np.int64],
        material: Material,
        heat: Heat,
        *,
        fraction: NDArray[np.float64] | None = None,
        device: str | torch.device = "cpu",
    ):
        material.require("conductivity")
        assert material.conductivity is not None
        self.conductivity = TensorTable(as_table(material.conductivity), device)

        shares = np.ones((2, mesh.num_cells))
        for value in () if fraction is None else np.unique(fraction):
            shares[:, fraction == value] = np.reshape(wall_grid_conduction(float(value)), (2, 1))
        self._share = torch.from_numpy(shares).to(device)  # in the plane, vertically

        size = np.array(mesh.spacing) / 1e3  # m
        area = size.prod() / size
        axis = [0, 0, 1, 1, 2, 2]
        self._shape = torch.from_numpy((area / size)[axis]).to(device)  # A / h of each face, m
        self._area = torch.from_numpy(area[axis]).to(device)
        plate = torch.inf if heat.plate_coefficient is None else heat.plate_coefficient
        self._coefficients = torch.tensor(
            [plate, heat.powder_coefficient, heat.gas_coefficient],
            dtype=torch.float64,
            device=device,
        )
        powder = heat.preheat if heat.powder_temperature is None else heat.powder_temperature
        self._surroundings = torch.tensor(
            [heat.preheat, powder, heat.gas_temperature], dtype=torch.float64, device=device
        )
        row = mesh.cell_index[:, 2]
        last_of_layer = np.append(cell_layer[1:] != cell_layer[:-1], True)
        # The gas cools the highest row of the newest layer.
        top_row = row[last_of_layer][np.searchsorted(cell_layer[last_of_layer], cell_layer)]
        self._neighbours = torch.from_numpy(_neighbours(mesh)).to(device)
        self._at_bottom = torch.from_numpy(row == 0).to(device)
        self._at_top = torch.from_numpy(row == top_row).to(device)
        self._layer = torch.from_numpy(cell_layer).to(device)

    @property
    def plate_temperature(self) -> float:
        """Temperature of the plate, degrees Celsius."""
        return float(self._surroundings[TO_PLATE])

    @plate_temperature.setter
    def plate_temperature(self, value: float) -> None:
        self._surroundings = self._surroundings.clone()
        self._surroundings[TO_PLATE] = value

    def activate(self, num_cells: int) -> None:
        """Make the first cells the active ones, up to the last cell of a layer."""
        self._active_share = self._share[:, :num_cells].contiguous()
        neighbours = self._neighbours[:, :num_cells]
        self._linked = (neighbours >= 0) & (neighbours < num_cells)
        self._cells = torch.where(self._linked, neighbours, 0).contiguous()
        medium = torch.full_like(neighbours, TO_POWDER)
        medium[_BELOW, self._at_bottom[:num_cells]] = TO_PLATE
        newest = self._layer[:num_cells] == self._layer[num_cells - 1]
        medium[_ABOVE, newest & self._at_top[:num_cells]] = TO_GAS
        self._medium = torch.where(self._linked, -1, medium).to(torch.int8)

    def at(self, temperature: Tensor) -> HeatFlow:
        """Heat flows of the active cells, with the conductivity at ``temperature`` [n]."""
        if heat_kernels.can_run(temperature):
            links = torch.empty(self._cells.shape, dtype=temperature.dtype)
            conductance = torch.empty(3, len(temperature), dtype=temperature.dtype)
            arrays = (temperature, self.conductivity.points, self.conductivity.values)
            arrays += (
                self._active_share,
                self._shape,
                self._area,
                self._coefficients,
                self._medium,
                self._cells,
            )
            arrays += (links, conductance)
            diagonal = torch.from_numpy(heat_kernels.conduct(*(t.numpy() for t in arrays)))
            matrix = CellStencil(diagonal, links, self._cells)
            return HeatFlow(matrix, conductance, self._surroundings)
        half = (0.5 / (self.conductivity(temperature) * self._active_share))[_AXIS]
        shape, area = self._shape[:, None], self._area[:, None].repeat(1, len(temperature))
        area[_BELOW:] *= self._active_share[1]
        links = torch.stack([h[cells] for h, cells in zip(half, self._cells, strict=True)])
        links = torch.where(self._linked, shape / links.add_(half), 0)
        half_resistance = half / shape
        conductances = []
        for medium, coefficient in enumerate(self._coefficients):
            film = 1 / (coefficient * area)  # infinite without heat transfer
            faces = self._medium == medium
            conductances.append(torch.where(faces, 1 / (half_resistance + film), 0).sum(0))
        conductance = torch.stack(conductances)
        matrix = CellStencil(links.sum(0) + conductance.sum(0), links, self._cells)
        return HeatFlow(matrix, conductance, self._surroundings)


def _neighbours(mesh: HexMesh) -> NDArray[np.int64]:
    """Cells behind the faces -x, +x, -y, +y, -z, +z of each cell, -1 for none, [6, E]."""
    ids = np.full([size + 2 for size in mesh.mask.shape], -1)
    ids[tuple(mesh.cell_index.T + 1)] = np.arange(mesh.num_cells)
    return np.stack([ids[tuple((mesh.cell_index + 1 + offset).T)] for offset in _OFFSETS])
