import numpy as np
import pytest

from flare_mesh.mesh.vtk_arrays import drop_ghost_cells


def test_ghost_flags_that_do_not_fit():
    arrays = {"points": np.zeros((3, 3)), "index": np.arange(3), "offset": np.array([0, 3])}
    arrays |= {"types": np.array([5]), "cell:vtkGhostType": np.ones(2, np.uint8)}
    with pytest.raises(ValueError, match="expected 1 values of vtkGhostType"):
        drop_ghost_cells(arrays)
