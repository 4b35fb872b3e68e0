"""Uploads, downloads and the checks of all requests of the viewer's web server."""

import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from aiohttp import web

from flare_mesh.viewer.uploads import check_upload, shown_name, too_large

LOCAL_NAMES = ("127.0.0.1", "localhost", "::1")
"""Names by which a browser on the same machine, or at the end of an ssh tunnel, asks."""

_HEADERS = {
    # Vue compiles the templates of the page in the browser, which needs eval. Nothing is loaded
    # from, or sent to, another server, and no other page may show this one in a frame.
    "Content-Security-Policy": (
        "default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; connect-src 'self' data: "
        "blob:; form-action 'self'; frame-ancestors 'none'; object-src 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_CHUNK = 1 << 16


KEY = "key"
"""Parameter of the page's address with the key."""

# Trame's page asks here for the address of its web socket; it puts its own host in.
LAUNCHER, _SOCKET = "/paraview/", {"sessionURL": "ws://use_host/ws"}


def is_own_request(host: str, origin: str | None, *, local_only: bool) -> bool:
    """Whether a request comes from the viewer's own page, and not from one of a stranger.

    A page of another site can send requests to this machine too, and under a name of its own that
    it lets point here. The first has another origin, the second another host.

    Args:
        host: Header ``Host``: name and port of the server in the browser.
        origin: Header ``Origin``; None for requests that have none, such as links.
        local_only: Whether the server is bound to this machine alone.
    """
    try:
        name = urlsplit(f"//{host}").hostname
        same = origin is None or urlsplit(origin).netloc == host
    except ValueError:
        return False
    return same and bool(name) and (not local_only or name in LOCAL_NAMES)


def guard(
    key: str, *, local_only: bool
) -> Callable[[web.Request, Any], Awaitable[web.StreamResponse]]:
    """Middleware that lets in whoever opened the page by its address with the key, and no other.

    The first request has the key in the address, and gets it back as a cookie that the browser
    sends with all others.

    Args:
        key: A random text.
        local_only: Whether the server is bound to this machine alone.
    """
    # Cookies are shared by all ports of a host, so that each viewer needs a name of its own.
    cookie = f"flare-mesh-{key[:8]}"

    @web.middleware
    async def check(request: web.Request, handler: Any) -> web.StreamResponse:
        own = is_own_request(request.host, request.headers.get("Origin"), local_only=local_only)
        given = request.query.get(KEY, request.cookies.get(cookie, ""))
        if not own or not hmac.compare_digest(given.encode(), key.encode()):
            raise web.HTTPForbidden(text="open the whole address that 'flare-mesh view' printed")
        if KEY in request.query:
            page = web.HTTPFound("/index.html")
            page.set_cookie(cookie, key, httponly=True, samesite="Strict", path="/")
            raise page
        return await handler(request)

    return check


async def find_socket(request: web.Request) -> web.Response:
    """Handler of the page's question for the address of its web socket."""
    return web.json_response(_SOCKET)


async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Signal handler that adds the headers of all responses."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)


def upload_handler(
    folder: Path,
    suffixes: tuple[str, ...],
    limit: int,
    on_file: Callable[[str, Path], Awaitable[str]],
) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Handler of ``POST upload?name=NAME`` with the file as its body.

    The answer is ``{"error": text}``, with an empty text for a file that is taken.

    Args:
        folder: Folder of the files.
        suffixes: Suffixes that are accepted.
        limit: Largest size in bytes.
        on_file: Called with the shown name and the path of a file that is there; returns why it
            cannot be taken now, or an empty text.
    """
    number = 0

    async def upload(request: web.Request) -> web.Response:
        nonlocal number
        name = request.query.get("name", "")
        try:
            suffix = check_upload(name, request.content_length, suffixes, limit)
        except ValueError as error:
            return web.json_response({"error": str(error)})
        number += 1
        path, size = folder / f"upload_{number}{suffix}", 0
        whole = False
        try:
            with path.open("wb") as file:
                async for block in request.content.iter_chunked(_CHUNK):
                    size += len(block)
                    if size > limit:
                        text = too_large(shown_name(name), limit)
                        return web.json_response({"error": text})
                    file.write(block)
            whole = True
        finally:
            if not whole:
                path.unlink(missing_ok=True)
        refused = await on_file(shown_name(name), path)
        if refused:
            path.unlink(missing_ok=True)
        return web.json_response({"error": refused})

    return upload


def download_handler(
    find: Callable[[str], Awaitable[tuple[Path, str] | None]],
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Handler of ``GET download/{what}``.

    Args:
        find: Function from ``what``, one of a few words, to a file and its name for the browser;
            None for other words and where there is none. No path comes from a request.
    """

    async def download(request: web.Request) -> web.StreamResponse:
        found = await find(request.match_info["what"])
        if found is None:
            raise web.HTTPNotFound(text="there is no such file to download")
        path, name = found
        disposition = f"attachment; filename*=UTF-8''{quote(shown_name(name))}"
        return web.FileResponse(path, headers={"Content-Disposition": disposition})

    return download
