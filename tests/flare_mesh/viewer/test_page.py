"""The viewer in real Chromium."""

import http.client
import re
import subprocess
import sys
import time
from contextlib import closing

import pytest
import trimesh

from flare_mesh import read_mesh

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def address(trained, tmp_path_factory):
    """Address of a viewer of a run with three test cases."""
    log = tmp_path_factory.mktemp("viewer") / "log"
    command = [sys.executable, "-m", "flare_mesh", "view", str(trained[0])]
    command += ["--no-browser", "--port", "0", "--max-upload", "1"]
    with log.open("w") as out:
        server = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT)
    try:
        end = time.monotonic() + 300
        while not (found := re.search(r"viewer: (http\S+)", log.read_text())):
            assert server.poll() is None, log.read_text()
            assert time.monotonic() < end
            time.sleep(0.2)
        yield found[1]
    finally:
        server.terminate()
        server.wait(300)


@pytest.fixture
def view(page, address):
    page.goto(address)
    page.wait_for_selector("#bar")
    page.wait_for_selector("canvas")
    return page


def choose(page, control, value):
    page.locator(f".v-select:has(#{control})").click()
    page.locator(".v-overlay--active .v-list-item", has_text=re.compile(f"^{value}$")).click()


def until(condition):
    end = time.monotonic() + 300
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


def label(page):
    return page.locator("#bar div").first.inner_text()


def test_field_component_and_error(view, coloured):
    until(lambda: coloured("canvas") > 0.03)
    view.locator("#kind button", has_text="truth").click()
    until(lambda: label(view) == "norm of displacement [mm]")
    before = view.locator("canvas").first.screenshot()
    ticks = view.locator("#bar .ticks").inner_text()
    view.locator("#kind button", has_text="prediction").click()
    until(lambda: label(view) == "norm of predicted displacement [mm]")
    assert view.locator("#bar .ticks").inner_text() == ticks, "truth and prediction share a range"
    view.locator("#kind button", has_text="error").click()
    until(lambda: label(view) == "norm of error of displacement [mm]")
    choose(view, "field", "von_mises")
    until(lambda: label(view) == "error of von_mises [MPa]")
    choose(view, "field", "displacement")
    choose(view, "component", "z")
    until(lambda: label(view) == "error of displacement, z [mm]")
    until(lambda: view.locator("canvas").first.screenshot() != before)
    assert coloured("canvas") > 0.03


def test_clip_plane_and_deformation(view, coloured):
    until(lambda: coloured("canvas") > 0.03)
    view.locator("#clip").click()
    view.wait_for_selector("#plane")
    position = view.locator("#position").inner_text()
    assert position.startswith("x = ")
    half = view.locator("canvas").first.screenshot()
    thumb = view.locator("#plane .v-slider-thumb")
    thumb.focus()
    for _ in range(3):
        thumb.press("PageUp")
    until(lambda: view.locator("#position").inner_text() != position)
    until(lambda: view.locator("canvas").first.screenshot() != half)
    choose(view, "side", "above")
    choose(view, "axis", "z")
    until(lambda: view.locator("#position").inner_text().startswith("z = "))
    choose(view, "axis", "oblique")
    view.locator("#normal input").nth(2).fill("-0.5")
    until(lambda: view.locator("#position").inner_text().startswith("x+y-0.5z = "))
    view.locator("#clip").click()
    view.locator("#factor .v-slider-thumb").press("Home")
    until(lambda: "deformation x 0" in view.locator("#caption").inner_text())
    view.locator("#edges").click()
    view.locator("#reset").click()
    view.wait_for_selector("#computing", state="detached")
    assert coloured("canvas") > 0.03
    middle = {"x": 450, "y": 150, "width": 550, "height": 450}
    whole = view.screenshot(clip=middle)
    view.reload()  # the first view has the same projection
    view.wait_for_selector("canvas")
    until(lambda: view.screenshot(clip=middle) == whole)


def test_a_part_is_predicted_and_simulated(view, tmp_path):
    part = tmp_path / "my part.stl"
    trimesh.creation.box((20.0, 12.0, 16.0)).export(part)
    view.locator("#upload").set_input_files(part)
    view.wait_for_selector("#get_compensated")
    assert "predicted displacement" in label(view)
    view.wait_for_selector("#job", state="detached")
    view.locator("#simulate").click()
    view.locator("#cancel").click()
    view.wait_for_selector("#job", state="detached")
    until(lambda: "cancelled" in view.locator("#message").inner_text())
    assert not view.locator("#kind").is_visible()
    view.locator("#simulate").click()
    view.wait_for_selector("#kind")
    assert "predicted displacement" in label(view)
    assert view.locator("#kind").inner_text().split() == ["truth", "prediction", "error"]
    with view.expect_download() as waiting:
        view.locator("#get_fields").click()
    assert waiting.value.suggested_filename == "my_part.vtu"
    found = read_mesh(saved(waiting.value, tmp_path / "a.vtu"))
    assert {"displacement", "predicted_displacement", "von_mises"} <= {*found.node_fields}
    with view.expect_download() as waiting:
        view.locator("#get_compensated").click()
    assert waiting.value.suggested_filename == "my_part.compensated.stl"
    surface = trimesh.load_mesh(saved(waiting.value, tmp_path / "a.stl"))
    assert surface.is_watertight
    assert surface.extents == pytest.approx([20, 12, 16], abs=2.0)


def saved(download, path):
    download.save_as(path)
    return path


def test_what_is_no_mesh_is_refused(view, tmp_path):
    cases = {
        "notes.txt": (b"hello", "notes.txt: expected a mesh or part of a type among"),
        "big.stl": (bytes(1_000_001), "big.stl: is larger than 1 MB"),
        "bad.stl": (b"solid nothing", "bad.stl"),
    }
    for name, (content, message) in cases.items():
        file = tmp_path / name
        file.write_bytes(content)
        view.locator("#upload").set_input_files(file)
        until(lambda: message in "".join(view.locator("#message").all_inner_texts()))  # noqa: B023
        view.wait_for_selector("#job", state="detached")


@pytest.mark.parametrize(
    "path",
    [
        "/../../../../etc/passwd",
        "/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/__flare_mesh/../serve.py",
        "/__flare_mesh/..%2fserve.py",
        "/download/..%2f..%2fetc%2fpasswd",
        "/download/config.yaml",
    ],
)
def test_nothing_outside_is_served(address, path):
    base, key = address.removeprefix("http://").split("/?key=")
    cookie = {"Cookie": f"flare-mesh-{key[:8]}={key}"}
    assert get(base, path, {})[0] == 403
    assert get(base, path, cookie)[0] in (403, 404)
    status, content = get(base, "/__flare_mesh/upload.js", cookie)
    assert status == 200
    assert b"flareUpload" in content


def test_strangers_are_refused(address):
    base, key = address.removeprefix("http://").split("/?key=")
    cookie = {"Cookie": f"flare-mesh-{key[:8]}={key}"}
    assert get(base, "/index.html", cookie)[0] == 200
    for headers in ({}, cookie | {"Origin": "http://evil.org"}, cookie | {"Host": "evil.org"}):
        assert get(base, "/index.html", headers)[0] == 403
    socket = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
    socket["Sec-WebSocket-Key"] = "AAAAAAAAAAAAAAAAAAAAAA=="
    assert get(base, "/ws", socket)[0] == 403
    assert get(base, "/ws", socket | cookie | {"Origin": "http://evil.org"})[0] == 403


def get(base, path, headers):
    """Status and content of an answer; the path is sent as it is."""
    with closing(http.client.HTTPConnection(base, timeout=60)) as connection:
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
