"""What training raises when it was asked to stop."""


class InterruptedTraining(Exception):  # noqa: N818
    """Training was stopped by Ctrl-C, after its state was saved."""
