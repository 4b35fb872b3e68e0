"""Times of `flare-mesh view` in Chromium, and the picture of docs/viewer.md.

    python benchmarks/viewer.py [--nodes 50000] [--picture docs/images/viewer.png]

The wall times are those that a reader waits. The CPU times of viewer and browser together are what
an idle machine needs at most. The browser draws without a graphics card.
"""

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pyvista
import torch
from PIL import Image
from playwright.sync_api import sync_playwright

from flare_mesh import MeshData
from flare_mesh.prediction import Prediction
from lpbf import Process, simulate, voxelize
from lpbf.core.procedural_part import procedural_part

_FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --use-gl=angle --use-angle=swiftshader "
    "--enable-unsafe-swiftshader"
)


def block(nodes: int) -> Prediction:
    """A block of hexahedra with a displacement and a stress, predicted and true."""
    edge = round(nodes ** (1 / 3))
    mesh = MeshData.from_pyvista(pyvista.ImageData(dimensions=(edge, edge, edge)))
    x, y, z = (mesh.pos / edge).T
    truth = torch.stack([0.4 * (0.5 - x) * z, 0.4 * (0.5 - y) * z, 0.8 * (x - 0.5) ** 2 * z], 1)
    stress = 200 + 600 * torch.exp(-8 * ((x - 0.2) ** 2 + (y - 0.5) ** 2 + z**2))[:, None]
    return Prediction(
        "block",
        mesh,
        {"displacement": truth + 0.02 * torch.sin(9 * x)[:, None], "von_mises": stress * 1.05},
        {"displacement": truth, "von_mises": stress},
        {"displacement": "mm", "von_mises": "MPa"},
    )


def bracket() -> Prediction:
    """A plastic simulation of a bracket as the truth, and the elastic one as its prediction."""
    part = voxelize(procedural_part(4, "bracket", size=(40.0, 48.0)), 2.0)
    found = [
        simulate(part, Process.preset("Ti-6Al-4V", plasticity=plasticity, heat=None, release=True))
        for plasticity in (False, True)
    ]
    mesh = MeshData(torch.from_numpy(part.points).float(), hexahedron=torch.from_numpy(part.cells))
    elastic, plastic = (
        {
            "displacement": torch.from_numpy(one.displacement).float(),
            "von_mises": torch.from_numpy(one.von_mises).float()[:, None],
        }
        for one in found
    )
    units = {"displacement": "mm", "von_mises": "MPa"}
    return Prediction("bracket", mesh, elastic, plastic, units)


class Clock:
    """Wall time and CPU time of the viewer and of the browser.

    Args:
        server: Process of the viewer.
        start: Wall time of the start; None for now.
    """

    def __init__(self, server: psutil.Process, start: float | None = None) -> None:
        self._server = server
        self._start = time.perf_counter() if start is None else start
        self._before = self._cpu() if start is None else (0.0, 0.0)

    def _cpu(self) -> tuple[float, float]:
        times = self._server.cpu_times()
        browser = 0.0
        for child in psutil.Process().children(recursive=True):
            if "chrom" in child.name():
                used = child.cpu_times()
                browser += used.user + used.system
        return times.user + times.system, browser

    def stop(self) -> dict[str, float]:
        """Seconds since the start."""
        server, browser = self._cpu()
        return {
            "wall": round(time.perf_counter() - self._start, 2),
            "viewer_cpu": round(server - self._before[0], 2),
            "browser_cpu": round(browser - self._before[1], 2),
        }


def middle(page: Any) -> np.ndarray:
    """Pixels in the middle of the picture."""
    file = page.screenshot(clip={"x": 700, "y": 360, "width": 64, "height": 64})
    with tempfile.NamedTemporaryFile(suffix=".png") as picture:
        Path(picture.name).write_bytes(file)
        return np.asarray(Image.open(picture.name).convert("RGB")).astype(int)


def until(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + 600
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError("the page did not change within ten minutes")
        time.sleep(0.02)


def measure(page: Any, address: str, server: psutil.Process) -> dict[str, dict[str, float]]:
    """Times of the first view and of changes."""
    clock = Clock(server)
    page.goto(address)
    page.wait_for_selector("canvas")
    until(lambda: np.ptp(middle(page), axis=2).max() > 40)
    times = {"first view": clock.stop()}
    time.sleep(2)  # the page is at rest
    changes = {
        "field": {"field": "von_mises"},
        "error": {"kind": "error"},
        "clip plane": {"kind": "truth", "clip_on": True},
        "deformation": {"factor": 0.0},
    }
    for name, values in changes.items():
        before, clock = middle(page), Clock(server)
        page.evaluate("(values) => window.trame.state.update(values)", values)
        until(lambda: (middle(page) != before).mean() > 0.1)  # noqa: B023
        times[name] = clock.stop()
        time.sleep(2)
    return times


def main() -> None:
    """Measure, and write the picture if asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--nodes", type=int, default=50_000)
    parser.add_argument("--picture", type=Path)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, sync_playwright() as tools:
        case = Path(name) / ("bracket.vtu" if args.picture else "block.vtu")
        prediction = bracket() if args.picture else block(args.nodes)
        prediction.save(case)
        log, start = Path(name) / "log", time.perf_counter()
        command = [sys.executable, "-m", "flare_mesh", "view", str(case), "--port", "0"]
        with log.open("w") as out:
            child = subprocess.Popen([*command, "--no-browser"], stdout=out)
        server = psutil.Process(child.pid)
        try:
            until(lambda: "viewer: " in log.read_text() or child.poll() is not None)
            started = Clock(server, start).stop()
            (address,) = re.findall(r"http\S+", log.read_text())
            browser = tools.chromium.launch_persistent_context(
                Path(name) / "profile",
                executable_path=shutil.which("chromium") or "chromium-browser",
                args=_FLAGS.split(),
                viewport={"width": 1280, "height": 800},
            )
            browser.set_default_timeout(600_000)
            page = browser.pages[0]
            if args.picture:
                page.goto(address)
                page.wait_for_selector("canvas")
                until(lambda: np.ptp(middle(page), axis=2).max() > 40)
                page.evaluate("window.trame.state.update({kind: 'prediction'})")
                until(lambda: "predicted" in page.locator("#bar").inner_text())
                time.sleep(5)
                page.screenshot(path=args.picture)
            else:
                times = {"start": started} | measure(page, address, server)
                del times["start"]["browser_cpu"]
                print(json.dumps({"nodes": prediction.num_points, "seconds": times}, indent=1))
            browser.close()
        finally:
            child.terminate()
            child.wait(60)


if __name__ == "__main__":
    main()
