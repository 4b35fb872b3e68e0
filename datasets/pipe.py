"""Flow through bent pipes."""

from typing import ClassVar

from flare_mesh.data.splits import PublishedSplit
from flare_mesh.datasets.curvilinear import CurvilinearDataset


class Pipe(CurvilinearDataset):
    """Flow through bent pipes, from Geo-FNO (arXiv 2207.05209).

    Steady incompressible Navier-Stokes equations in two dimensions, viscosity 0.005, in a channel
    of length 10 and width 1 with a random centre line; parabolic inflow of peak velocity 1, no-slip
    walls, free outflow. The files are published without a stated licence.

    =================================  ====================  ========
    convention                         train                 test
    =================================  ====================  ========
    ``"flare"`` (Transolver, Geo-FNO)  first 1,000 of 2,310  next 200
    ``"lno"``                          first 1,000           last 200
    =================================  ====================  ========

    FLARE standardises the coordinates and the velocity (mean and standard deviation over all
    training points).

    Files: ``pipe/Pipe_{X,Y,Q}.npy`` of shapes [S, 129, 129] and [S, 3, 129, 129]. Grids of another
    size are read too.

    Fields, dimensionless: ``velocity_x`` [N, 1], ``velocity_y`` [N, 1], ``pressure`` [N, 1].
    ``pos`` [N, 2], ``quad`` [E, 4].

    Options: see :class:`~flare_mesh.datasets.curvilinear.CurvilinearDataset`. The default target is
    ``velocity_x``.
    """

    FILE = "pipe/Pipe_{}.npy"
    CHANNELS = {"velocity_x": slice(0, 1), "velocity_y": slice(1, 2), "pressure": slice(2, 3)}
    TARGET = "velocity_x"
    FIELDS = {"velocity_x": 1, "velocity_y": 1, "pressure": 1}
    UNITS = {"velocity_x": "1", "velocity_y": "1", "pressure": "1"}
    ADDRESS = "https://drive.google.com/drive/folders/1YBuaoTdOSr_qzaow-G-iwvbUI7fiUzu8"
    STATS: ClassVar = {"train": 1000, "test": 200, "cases": 2310, "nodes": 16641, "channels": 1}
    SPLITS = {"flare": PublishedSplit(1000, 200), "lno": PublishedSplit(1000, 200, last=True)}
