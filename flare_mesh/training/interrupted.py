"""Error that ends an interrupted training."""


class InterruptedTraining(Exception):  # noqa: N818
    """Training was stopped by Ctrl-C, and its state is saved."""
