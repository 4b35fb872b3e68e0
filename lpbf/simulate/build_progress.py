"""Progress of a build on the terminal, with the time that is left."""

import time
from datetime import timedelta
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from lpbf.simulate.estimate import Estimate

_SECONDS = 10.0  # between two lines where there is no terminal


class BuildProgress:
    """A bar for a terminal, and otherwise a line every ten seconds; the ``on_step`` of a build.

    The time left is the time so far times the rest of the estimated work.

    Args:
        estimate: Shares of the steps in the work.
        console: Where it is shown; None for the standard error output.
    """

    def __init__(self, estimate: Estimate, console: Console | None = None) -> None:
        self._estimate = estimate
        self._console = Console(stderr=True) if console is None else console
        self._bar = None
        if self._console.is_terminal:
            columns = TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn()
            self._bar = Progress(*columns, console=self._console, transient=True)
            name = "heat" if estimate.heat else "build"
            self._task = self._bar.add_task(name, total=1.0)
        self._began = self._printed = time.monotonic()

    def __enter__(self) -> "BuildProgress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.pause()

    def pause(self) -> None:
        """Take the bar off the terminal until the next step, so that other lines can be printed."""
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, done: int, total: int, name: str) -> None:
        """Show that so many layers and cuts of all are done, and the name of the last one."""
        share, now = self._estimate.done(done), time.monotonic()
        if self._bar is not None:
            self._bar.start()
            self._bar.update(self._task, completed=share, description=f"{name} of {total}")
        elif now - self._printed >= _SECONDS:
            self._printed = now
            left = timedelta(seconds=round((now - self._began) * (1 / share - 1)))
            self._console.print(
                f"{name} of {total}: {share:.0%}, {left} h left", markup=False, highlight=False
            )
