"""What can be wrong with a part or a simulation, as the user's input."""


class PartError(ValueError):
    """A part that cannot be simulated: the message names it, the reason and the remedy."""


class IslandError(PartError):
    """Voxels that nothing holds when their layer is built."""


class SolverError(RuntimeError):
    """A solver that did not converge: the message names the layer and the residual."""


class PartWarning(UserWarning):
    """A part that is simulated, but not exactly as its file says."""
