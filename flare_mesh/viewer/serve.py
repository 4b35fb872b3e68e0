"""Start of the viewer."""

import asyncio
import logging
import secrets
import sys
import tempfile
import webbrowser
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from flare_mesh.viewer.cases import CaseStore, find_cases
from flare_mesh.viewer.model import describe_model
from flare_mesh.viewer.uploads import upload_suffixes

LOCAL = "127.0.0.1"
MAX_UPLOAD = 200.0
"""Largest size of an uploaded file, MB."""


def view(
    sources: Sequence[str | Path],
    *,
    model: str | Path | None = None,
    data: str | Path | None = None,
    host: str = LOCAL,
    port: int = 8080,
    max_upload: float = MAX_UPLOAD,
    trust_code: bool = False,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Show fields in the browser until the process is interrupted.

    The server is for one reader. The address of the page has a random key, without which nothing is
    answered; but it is sent unencrypted.

    Args:
        sources: Folders of runs, files of meshes or predictions, or folders of them.
        model: Surrogate for uploaded files; by default that of the first run.
        data: Folder of the data set of a run; by default where it was in training.
        host: Address to bind to; the default is reached from this machine alone.
        port: Port; 0 for a free one.
        max_upload: Largest size of an uploaded file, MB.
        trust_code: Whether a run or surrogate may name classes outside this package, whose code is
            run.
        on_ready: Called with the address of the page when it can be opened.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        ImportError: If trame is not installed.
        OSError: If the address cannot be bound to.
        ValueError: If a source has nothing to show, or the first case cannot be read.
    """
    check_trame()
    if not 0 < max_upload < float("inf"):
        raise ValueError(f"max_upload: expected a size in MB above 0 (got {max_upload})")
    if not 0 <= port < 1 << 16:
        raise ValueError(f"port: expected a number from 0 to {(1 << 16) - 1} (got {port})")
    cases, run = find_cases(sources, data=data, trust_code=trust_code)
    chosen = run if model is None else model
    surrogate = None
    if chosen is not None:
        try:
            surrogate = describe_model(chosen, trust_code=trust_code)
        except ValueError:
            if model is not None:
                raise
    suffixes = upload_suffixes(() if surrogate is None else surrogate.part_suffixes)
    with tempfile.TemporaryDirectory(prefix="flare-mesh-view-") as name:
        from flare_mesh.viewer import routes
        from flare_mesh.viewer.app import Viewer

        server = _new_server()
        limit = int(max_upload * 1e6)
        app = Viewer(server, CaseStore(cases), surrogate, Path(name), suffixes, limit)
        key = secrets.token_urlsafe(16)
        guard = routes.guard(key, local_only=host == LOCAL)
        upload = routes.upload_handler(Path(name), suffixes, limit, app.take_file)
        _add_routes(server, guard, upload, routes.download_handler(app.find_download))
        _serve(server, host, port, key, on_ready)


def check_trame() -> None:
    """Refuse to start without trame.

    Raises:
        ImportError: If it is not installed.
    """
    try:
        import trame.widgets.vtk
        import trame.widgets.vuetify3  # noqa: F401
    except ImportError as error:
        raise ImportError(
            f"the viewer needs trame ({error}); pip install 'flare-mesh[view]'"
        ) from error


def open_browser(address: str) -> None:
    """Open the page in the browser of this machine, if it has one."""
    webbrowser.open(address)


def _new_server() -> Any:
    from trame.app import get_server

    server: Any = get_server("flare-mesh", client_type="vue3")
    server.enable_module(
        {
            "serve": {"__flare_mesh": str(Path(__file__).with_name("browser-files"))},
            "scripts": ["__flare_mesh/upload.js"],
        }
    )
    return server


def _add_routes(server: Any, guard: Any, upload: Any, download: Any) -> None:
    from flare_mesh.viewer import routes

    def bind(web_server: Any) -> None:
        web = web_server.app
        web.middlewares.append(guard)
        web.on_response_prepare.append(routes.add_headers)
        web.router.add_post(routes.LAUNCHER, routes.find_socket)
        web.router.add_post("/upload", upload)
        web.router.add_get("/download/{what}", download)

    server.controller.on_server_bind.add(bind)


def _serve(
    server: Any, host: str, port: int, key: str, on_ready: Callable[[str], None] | None
) -> None:
    from flare_mesh.viewer.routes import KEY

    def ready(**_: Any) -> None:
        name = f"[{host}]" if ":" in host else host
        if on_ready is not None:
            on_ready(f"http://{name}:{server.port}/?{KEY}={key}")

    server.controller.on_server_ready.add(ready)
    logging.getLogger("wslink").setLevel(logging.ERROR)
    try:
        with _no_arguments():
            server.start(
                port=port,
                host=host,
                open_browser=False,
                show_connection_info=False,
                disable_logging=True,
                timeout=0,
            )
    except OSError as error:
        raise OSError(
            f"cannot listen at {host}, port {port} ({error.strerror or error}); choose another "
            f"--port (0 for a free one)"
        ) from error
    except (KeyboardInterrupt, asyncio.CancelledError):
        pass


@contextmanager
def _no_arguments() -> Iterator[None]:
    """Hide the command line from trame, which would read its options there."""
    before, sys.argv = sys.argv, sys.argv[:1]
    try:
        yield
    finally:
        sys.argv = before
