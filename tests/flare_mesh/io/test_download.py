import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from flare_mesh.io.download import download_file, download_hub

CONTENT = bytes(range(256)) * 4096


class Server(ThreadingHTTPServer):
    """Serves CONTENT under any path; may break off, or forget what it served before."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.break_after = None
        self.etag = '"one"'
        self.content = CONTENT
        self.ranges = []
        self.shift = 0
        self.junk = None


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server, start = self.server, 0
        wanted = self.headers.get("Range")
        server.ranges.append(wanted)
        if server.junk:
            self.wfile.write(server.junk)
            return
        if wanted and self.headers.get("If-Range") == server.etag:
            start = int(wanted.removeprefix("bytes=").removesuffix("-"))
            if start >= len(server.content):
                self.send_error(416)
                return
        self.send_response(206 if start else 200)
        if start:
            start += server.shift
            self.send_header("Content-Range", f"bytes {start}-/{len(server.content)}")
        body = server.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", server.etag)
        self.end_headers()
        self.wfile.write(body[: server.break_after])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with Server() as running:
        threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01}).start()
        running.url = f"http://127.0.0.1:{running.server_port}/file.bin"
        yield running
        running.shutdown()


def test_whole_file(server, tmp_path):
    path = tmp_path / "new" / "file.bin"
    sums = {name: hashlib.new(name, CONTENT).hexdigest() for name in ("sha256", "md5")}
    assert download_file(server.url, path, size=len(CONTENT), **sums) == path
    assert path.read_bytes() == CONTENT
    assert [p.name for p in path.parent.iterdir()] == ["file.bin"]
    download_file(server.url, path)
    assert len(server.ranges) == 1


def test_an_interrupted_download_resumes(server, tmp_path):
    path = tmp_path / "file.bin"
    server.break_after = 300_000
    with pytest.raises(ConnectionError, match=r"file.bin: could not .* try again, or download"):
        download_file(server.url, path)
    assert not path.exists()
    server.break_after = None
    download_file(server.url, path)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=300000-"]


def test_another_part_than_requested_is_not_appended(server, tmp_path):
    path = tmp_path / "file.bin"
    server.break_after = 1000
    with pytest.raises(ConnectionError):
        download_file(server.url, path)
    server.break_after, server.shift = None, -500
    with pytest.raises(ConnectionError, match="expected the file from byte 1,000 on, got another"):
        download_file(server.url, path)
    assert download_file(server.url, path).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=1000-", None]


@pytest.mark.parametrize(
    "junk",
    [
        b"hello\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nff\r\nabc",
        b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc",
    ],
)
def test_broken_answers(server, tmp_path, junk):
    server.junk = junk
    with pytest.raises(ConnectionError, match=r"could not be downloaded .*; try again"):
        download_file(server.url, tmp_path / "file.bin")
    assert not (tmp_path / "file.bin").exists()


def test_a_changed_file_is_downloaded_from_the_start(server, tmp_path):
    server.break_after = 1000
    with pytest.raises(ConnectionError):
        download_file(server.url, tmp_path / "file.bin")
    server.break_after, server.etag, server.content = None, '"two"', CONTENT[::-1]
    download_file(server.url, tmp_path / "file.bin")
    assert (tmp_path / "file.bin").read_bytes() == CONTENT[::-1]


def test_killed_after_the_last_byte(server, tmp_path):
    (tmp_path / ".file.bin.partial").write_bytes(CONTENT)
    (tmp_path / ".file.bin.version").write_text('"one"')
    download_file(server.url, tmp_path / "file.bin", size=len(CONTENT))
    assert (tmp_path / "file.bin").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("expected", "message"),
    [({"size": 7}, "expected 7 bytes"), ({"md5": "0" * 32}, "expected md5 0000")],
)
def test_wrong_size_or_checksum(server, tmp_path, expected, message):
    with pytest.raises(ValueError, match=message):
        download_file(server.url, tmp_path / "file.bin", **expected)
    assert not list(tmp_path.iterdir())


def test_no_network(tmp_path):
    with pytest.raises(ConnectionError, match=r"http://127\.0\.0\.1:9/a\.bin.*by hand to"):
        download_file("http://127.0.0.1:9/a.bin", tmp_path / "a.bin")
    with pytest.raises(ValueError, match="begins with https"):
        download_file("file:///etc/passwd", tmp_path / "a.bin")


def test_hub_without_network(tmp_path):
    with pytest.raises(ConnectionError, match=r"datasets/owner/name.*by hand to"):
        download_hub("owner/name", tmp_path, endpoint="http://127.0.0.1:9")
