"""Errors and warnings about parts and simulations."""


class PartError(ValueError):
    """A part cannot be simulated: the message names it, the reason and the remedy."""


class IslandError(PartError):
    """Voxels that nothing supports when their layer is built."""


class SolverError(RuntimeError):
    """A solver did not converge: the message names the layer and the residual."""


class PartWarning(UserWarning):
    """A part is simulated, but not exactly as its file says, or out of the model's range."""
