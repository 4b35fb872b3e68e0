"""Error that ends an interrupted training."""

import signal


class InterruptedTraining(Exception):  # noqa: N818
    """Training was stopped by Ctrl-C or SIGTERM, and its state is saved.

    Attributes:
        exit_code: 130 after Ctrl-C, 143 after SIGTERM, as if the signal had ended the process.
    """

    def __init__(self, text: str, number: int = signal.SIGINT) -> None:
        super().__init__(text)
        self.exit_code = 128 + number
