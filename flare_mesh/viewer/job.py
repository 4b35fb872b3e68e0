"""A child process of the viewer at work on an uploaded file."""

import asyncio
import json
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from flare_mesh.choices import clip
from flare_mesh.workers import exit_text

_LONGEST = 1 << 20  # bytes of an event


class Job:
    """A request that a child process works on; see :mod:`flare_mesh.viewer.worker`.

    Args:
        request: The request.
        on_event: Called with each event, in the thread of the event loop.
    """

    def __init__(
        self, request: Mapping[str, Any], on_event: Callable[[dict[str, Any]], None]
    ) -> None:
        self._request = request
        self._on_event = on_event
        self._child: asyncio.subprocess.Process | None = None
        self._cancelled = False

    async def run(self) -> str:
        """Work on the request until it is done, and return why it failed; empty if it did not."""
        pipe = asyncio.subprocess.PIPE
        self._child = child = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "flare_mesh.viewer.worker"),
            stdin=pipe,
            stdout=pipe,
            stderr=asyncio.subprocess.DEVNULL,
            limit=_LONGEST,
        )
        assert child.stdin is not None
        assert child.stdout is not None
        failure, done = "", False
        try:
            if not self._cancelled:
                with suppress(ConnectionError):
                    child.stdin.write(json.dumps(dict(self._request)).encode() + b"\n")
                    await child.stdin.drain()
                while line := await child.stdout.readline():
                    event = json.loads(line)
                    done = done or "done" in event
                    if "error" in event:
                        done, failure = True, clip(event["error"])
                    else:
                        self._on_event(event)
        finally:
            child.stdin.close()
            if child.returncode is None and (self._cancelled or sys.exc_info()[0] is not None):
                child.kill()
            code = await child.wait()
        if self._cancelled:
            return "cancelled"
        if not done:
            name, reason = self._request["name"], exit_text(code)
            return f"{name}: its reader or the simulation crashed ({reason})"
        return failure

    def cancel(self) -> None:
        """End the child process."""
        self._cancelled = True
        if self._child is not None and self._child.returncode is None:
            self._child.kill()
