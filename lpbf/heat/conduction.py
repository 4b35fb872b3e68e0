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
from lpbf.solve.cell_stencil import CellStencil

TO_PLATE, TO_POWDER, TO_GAS = 0, 1, 2
_OFFSETS = ((-1, 0, 0), (1, 0, 0), (0, -1, 0), (0, 1, 0), (0, 0, -1), (0, 0, 1))
_BELOW, _ABOVE = 4, 5


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

    def outflow(self, temperature: Tensor) -> Tensor:
        """Heat flow out of each cell, A T - b, [n], W."""
        return self._losses(temperature).sum(0).add_(self.matrix.exchange(temperature))

    def lost(self, temperature: Tensor) -> Tensor:
        """Heat flow from the part to plate, powder and gas, [3], W."""
        return self._losses(temperature).sum(1)

    def _losses(self, temperature: Tensor) -> Tensor:
        return self.conductance * (temperature - self.surroundings[:, None])


class Conduction:
    """Cell-centred finite volumes with two-point fluxes on the active voxels.

    Two neighbours conduct in series, A / (h/2k + h/2k'); a face to the surroundings has the half
    voxel and the film in series, A / (h/2k + 1/coefficient). The scheme conserves energy and no
    temperature leaves the range of the cells and their surroundings.

    Args:
        mesh: The part.
        cell_layer: Layer of each cell, [E], rising.
        material: Material with a conductivity.
        heat: Coefficients and temperatures of the surroundings.
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
        device: str | torch.device = "cpu",
    ):
        material.require("conductivity")
        assert material.conductivity is not None
        self.conductivity = TensorTable(as_table(material.conductivity), device)

        size = np.array(mesh.spacing) / 1e3  # m
        area = size.prod() / size
        axis = [0, 0, 1, 1, 2, 2]
        self._shape = torch.from_numpy((area / size)[axis]).to(device)  # A / h of each face, m
        self._area = torch.from_numpy(area[axis]).to(device)
        plate = torch.inf if heat.plate_coefficient is None else heat.plate_coefficient
        self._coefficients = (plate, heat.powder_coefficient, heat.gas_coefficient)
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

    def activate(self, num_cells: int) -> None:
        """Make the first cells the active ones, up to the last cell of a layer."""
        neighbours = self._neighbours[:, :num_cells]
        self._linked = (neighbours >= 0) & (neighbours < num_cells)
        self._cells = torch.where(self._linked, neighbours, 0).contiguous()
        surroundings = torch.full_like(neighbours, TO_POWDER)
        surroundings[_BELOW, self._at_bottom[:num_cells]] = TO_PLATE
        newest = self._layer[:num_cells] == self._layer[num_cells - 1]
        surroundings[_ABOVE, newest & self._at_top[:num_cells]] = TO_GAS
        self._open_faces = [
            (surroundings == medium) & ~self._linked for medium in (TO_PLATE, TO_POWDER, TO_GAS)
        ]

    def at(self, temperature: Tensor) -> HeatFlow:
        """Heat flows of the active cells, with the conductivity at ``temperature`` [n]."""
        half = 0.5 / self.conductivity(temperature)
        shape, area = self._shape[:, None], self._area[:, None]
        links = torch.stack([half.index_select(0, cells) for cells in self._cells])
        links = torch.where(self._linked, shape / links.add_(half), 0)
        half_resistance = half / shape
        conductances = []
        for faces, coefficient in zip(self._open_faces, self._coefficients, strict=True):
            film = 1 / (coefficient * area)  # infinite without heat transfer
            conductances.append(torch.where(faces, 1 / (half_resistance + film), 0).sum(0))
        conductance = torch.stack(conductances)
        matrix = CellStencil(links.sum(0) + conductance.sum(0), links, self._cells)
        return HeatFlow(matrix, conductance, self._surroundings)


def _neighbours(mesh: HexMesh) -> NDArray[np.int64]:
    """Cells behind the faces -x, +x, -y, +y, -z, +z of each cell, -1 for none, [6, E]."""
    ids = np.full([size + 2 for size in mesh.mask.shape], -1)
    ids[tuple(mesh.cell_index.T + 1)] = np.arange(mesh.num_cells)
    return np.stack([ids[tuple((mesh.cell_index + 1 + offset).T)] for offset in _OFFSETS])
