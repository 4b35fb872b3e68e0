"""Messages that libraries print."""

import io
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout


@contextmanager
def captured_output() -> Iterator[io.StringIO]:
    """Capture the text that libraries print in this context, and ignore their warnings."""
    text = io.StringIO()
    with redirect_stdout(text), redirect_stderr(text), warnings.catch_warnings(action="ignore"):
        yield text
