import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from flare_mesh.viewer import routes

KEY = "0123456789abcdef"


@pytest.mark.parametrize(
    ("host", "origin", "local_only", "own"),
    [
        ("127.0.0.1:8080", None, True, True),
        ("localhost:9000", "http://localhost:9000", True, True),
        ("[::1]:80", "http://[::1]:80", True, True),
        ("127.0.0.1:8080", "http://evil.org", True, False),
        ("127.0.0.1:8080", "http://127.0.0.1:9999", True, False),
        ("127.0.0.1:8080", "null", True, False),
        ("evil.org:8080", "http://evil.org:8080", True, False),
        ("cluster.org:8080", "http://cluster.org:8080", False, True),
        ("cluster.org:8080", "http://evil.org", False, False),
        ("", None, False, False),
        ("[", None, False, False),
    ],
)
def test_requests_of_other_pages(host, origin, local_only, own):
    assert routes.is_own_request(host, origin, local_only=local_only) is own


def run(test, tmp_path, refuse=""):
    """Run a coroutine with a client of a server, and the files that it took."""
    taken = []

    async def take(name, path):
        taken.append((name, path, path.read_bytes()))
        return refuse

    async def find(what):
        return (tmp_path / "a.vtu", 'ä "a.vtu') if what == "fields" else None

    async def show(request):
        return web.Response(text="page")

    async def main():
        app = web.Application(middlewares=[routes.guard(KEY, local_only=True)])
        app.on_response_prepare.append(routes.add_headers)
        upload = routes.upload_handler(tmp_path, (".stl", ".vtu"), 100, take)
        app.router.add_post("/upload", upload)
        app.router.add_get("/download/{what}", routes.download_handler(find))
        app.router.add_get("/index.html", show)
        async with TestClient(TestServer(app)) as client:
            await test(client)

    asyncio.run(main())
    return taken


async def enter(client):
    answer = await client.get(f"/?key={KEY}")
    assert await answer.text() == "page"
    assert "key" not in str(answer.url)


def test_the_key(tmp_path):
    async def test(client):
        for path in ("/index.html", "/index.html?key=wrong", "/download/fields"):
            assert (await client.get(path)).status == 403
        assert (await client.post("/upload?name=a.stl", data=b"x")).status == 403
        await enter(client)
        answer = await client.get("/index.html")
        assert answer.status == 200
        assert "connect-src 'self'" in answer.headers["Content-Security-Policy"]
        evil = await client.get("/index.html", headers={"Origin": "http://evil.org"})
        assert evil.status == 403
        assert "Content-Security-Policy" in evil.headers

    assert run(test, tmp_path) == []


def test_uploads(tmp_path):
    async def chunks():
        for _ in range(3):
            yield bytes(60)

    async def test(client):
        await enter(client)
        answer = await client.post("/upload?name=../../a%20b.stl", data=b"solid")
        assert await answer.json() == {"error": ""}
        too_large = [
            await client.post("/upload?name=b.stl", data=bytes(101)),
            await client.post("/upload?name=b.stl", data=chunks()),
        ]
        for answer in too_large:
            assert "b.stl: is larger than 0.0001 MB" in (await answer.json())["error"]
        answer = await client.post("/upload?name=b.exe", data=b"")
        assert "b.exe: expected a mesh or part" in (await answer.json())["error"]

    ((name, path, content),) = run(test, tmp_path)
    assert (name, path.name, content) == ("a_b.stl", "upload_1.stl", b"solid")
    assert path.parent == tmp_path
    assert [*tmp_path.iterdir()] == [path], "what was refused is gone"


def test_a_file_while_another_is_worked_on(tmp_path):
    async def test(client):
        await enter(client)
        answer = await client.post("/upload?name=a.stl", data=b"solid")
        assert await answer.json() == {"error": "busy"}

    run(test, tmp_path, refuse="busy")
    assert [*tmp_path.iterdir()] == []


def test_downloads(tmp_path):
    (tmp_path / "a.vtu").write_bytes(b"mesh")
    (tmp_path / "secret").write_bytes(b"secret")

    async def test(client):
        await enter(client)
        answer = await client.get("/download/fields")
        assert await answer.read() == b"mesh"
        assert answer.headers["Content-Disposition"].endswith("filename*=UTF-8''%C3%A4_a.vtu")
        for what in ("secret", "..%2fsecret", "%2e%2e%2f%2e%2e%2fetc%2fpasswd", ""):
            assert (await client.get(f"/download/{what}")).status == 404

    run(test, tmp_path)
