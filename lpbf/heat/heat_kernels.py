"""Loops of the heat conduction over the cells, compiled for the CPU.

They run on one thread, so that the result does not depend on the number of threads.
"""

import numpy as np
from torch import Tensor

from flare_mesh.compiled.jit import jit


def can_run(tensor: Tensor) -> bool:
    """Whether the loops run on the tensor's device. Other devices have the same in torch."""
    return tensor.device.type == "cpu"


@jit
def enthalpy(temperature, points, starts, tables, value, capacity):
    """Write the enthalpy and its slope; see :class:`lpbf.heat.enthalpy.Enthalpy`.

    Args:
        temperature: [n].
        points: Bounds of the segments, rising, [m].
        starts: Start of each segment, [m + 1].
        tables: Enthalpy, heat capacity and its slope at the starts, [3, m + 1].
        value: [n], out.
        capacity: [n], out.
    """
    for e in range(len(temperature)):
        segment = 0
        while segment < len(points) and temperature[e] >= points[segment]:
            segment += 1
        above = temperature[e] - starts[segment]
        slope = tables[2, segment]
        now = tables[1, segment] + slope * above
        value[e] = tables[0, segment] + (now - slope * above / 2) * above
        capacity[e] = now


@jit
def conduct(
    temperature,
    points,
    values,
    share,
    shape,
    area,
    coefficients,
    medium,
    neighbours,
    links,
    conductance,
):
    """Write the links between the cells and their conductance to the surroundings; return the
    diagonal.

    Args:
        temperature: [n].
        points: Temperatures of the conductivity's table, [m].
        values: Its values, [m].
        share: Share of it in the plane and vertically, [2, n].
        shape: Area over length of each face, [6].
        area: [6].
        coefficients: Heat transfer to plate, powder and gas, [3].
        medium: Number of the surroundings of each face, -1 for another cell, [6, n].
        neighbours: [6, n].
        links: [6, n], out.
        conductance: [3, n], out.
    """
    half, diagonal = np.empty_like(share), np.zeros_like(temperature)
    last = len(points) - 1
    for e in range(len(temperature)):
        upper = 0
        while upper <= last and temperature[e] > points[upper]:
            upper += 1
        if 0 < upper <= last:
            width = points[upper] - points[upper - 1]
            weight = (temperature[e] - points[upper - 1]) / width
            conductivity = values[upper - 1] + weight * (values[upper] - values[upper - 1])
        else:
            conductivity = values[min(upper, last)]
        half[0, e] = 0.5 / (conductivity * share[0, e])
        half[1, e] = 0.5 / (conductivity * share[1, e])
    conductance[:] = 0
    for side in range(6):
        vertical = side // 4
        for e in range(len(temperature)):
            outside = medium[side, e]
            if outside < 0:
                value = shape[side] / (half[vertical, neighbours[side, e]] + half[vertical, e])
                links[side, e] = value
            else:
                exposed = area[side] * share[1, e] if vertical else area[side]
                film = 1 / (coefficients[outside] * exposed)  # infinite without heat transfer
                value = 1 / (half[vertical, e] / shape[side] + film)
                links[side, e] = 0
                conductance[outside, e] += value
            diagonal[e] += value
    return diagonal


@jit
def balance(temperature, gain, links, neighbours, conductance, surroundings, time_step, residual):
    """Write gain + time_step * outflow of each cell with the opposite sign to ``residual``.

    Returns:
        The sums of gain, of the heat lost to plate, powder and gas, of |gain| and of |residual|.
    """
    total, plate, powder, gas, size, error = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    for e in range(len(temperature)):
        own = temperature[e]
        to_plate = conductance[0, e] * (own - surroundings[0])
        to_powder = conductance[1, e] * (own - surroundings[1])
        to_gas = conductance[2, e] * (own - surroundings[2])
        outflow = to_plate + to_powder + to_gas
        outflow += links[0, e] * (own - temperature[neighbours[0, e]])
        outflow += links[1, e] * (own - temperature[neighbours[1, e]])
        outflow += links[2, e] * (own - temperature[neighbours[2, e]])
        outflow += links[3, e] * (own - temperature[neighbours[3, e]])
        outflow += links[4, e] * (own - temperature[neighbours[4, e]])
        outflow += links[5, e] * (own - temperature[neighbours[5, e]])
        rest = -gain[e] - time_step * outflow
        residual[e] = rest
        total += gain[e]
        size += abs(gain[e])
        error += abs(rest)
        plate += to_plate
        powder += to_powder
        gas += to_gas
    return total, time_step * plate, time_step * powder, time_step * gas, size, error
