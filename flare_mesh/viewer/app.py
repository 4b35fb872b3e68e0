"""The viewer: its state, its picture and its jobs."""

import asyncio
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from flare_mesh.files import error_text
from flare_mesh.viewer.cases import CaseStore, ViewCase
from flare_mesh.viewer.controls import CONTROLS, Shown, show
from flare_mesh.viewer.download import write_fields
from flare_mesh.viewer.job import Job
from flare_mesh.viewer.layout import build_page
from flare_mesh.viewer.model import ViewModel
from flare_mesh.viewer.scene import Scene

_TITLE = "flare-mesh view"


@dataclass
class _Upload:
    """A file of the user.

    Attributes:
        file: The file.
        is_part: Whether it is a part that the model's source plug-in reads.
        compensated: Its compensated surface; None if there is none.
        simulated: Whether its truth was simulated.
        notes: Warnings.
    """

    file: Path
    is_part: bool
    compensated: Path | None = None
    simulated: bool = False
    notes: list[str] = field(default_factory=list)


class Viewer:
    """The state behind the page; all browsers that open it see the same.

    Args:
        server: A trame server.
        store: The cases, at least one.
        model: The surrogate for uploaded files; None without.
        folder: Folder for uploaded and written files.
        suffixes: Suffixes of files that can be uploaded.
        max_upload: Largest size of an uploaded file, bytes.

    Raises:
        ValueError: If the first case cannot be shown.
    """

    def __init__(
        self,
        server: Any,
        store: CaseStore,
        model: ViewModel | None,
        folder: Path,
        suffixes: tuple[str, ...],
        max_upload: int,
    ) -> None:
        self._store, self._model, self._folder = store, model, folder
        self._state: Any = server.state
        self._scene = Scene()
        self._uploads: dict[str, _Upload] = {}
        self._job: Job | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._computing = False
        self._shown = show(store, CONTROLS | {"case_name": store.names[0]}, None)
        self._asked = self._shown.controls
        self._state.update(
            {
                "trame__title": _TITLE,
                "cases": store.names,
                "notes": [],
                "message": "",
                "computing": False,
                "uploading": False,
                "upload": None,
                "accept": ",".join(suffixes),
                "max_upload": f"{max_upload / 1e6:g}",
                "has_model": model is not None,
                "job_running": False,
                "job_text": "",
                "job_percent": -1,
            }
        )
        self._scene.show(self._shown.drawing, edges=False)
        self._scene.aim(self._shown.drawing)
        self._set_state()
        self._view = build_page(server, self._scene.window, self)
        server.controller.on_server_ready.add(self._send)
        self._state.change(*CONTROLS)(self._on_change)

    # The picture

    def _on_change(self, **_: Any) -> None:
        if self._wanted() != self._asked and not self._computing:
            self._start(self._refresh())

    def _wanted(self) -> dict[str, Any]:
        return {name: self._state[name] for name in CONTROLS}

    async def _refresh(self) -> None:
        """Show what the controls ask for, until they ask for nothing else."""
        self._computing = True
        try:
            with self._state:
                self._state.computing = True
            while (wanted := self._wanted()) != self._asked:
                self._asked = wanted
                try:
                    found = await asyncio.to_thread(show, self._store, wanted, self._shown)
                except (ValueError, OSError, RuntimeError, MemoryError) as error:
                    with self._state:
                        self._state.message = " ".join(error_text(error).split())
                    continue
                if self._wanted() == wanted:  # otherwise there is more to do
                    self._apply(found)
        finally:
            self._computing = False
            with self._state:
                self._state.computing = False

    def _apply(self, found: Shown) -> None:
        is_new = found.case != self._shown.case
        self._shown = found
        self._scene.show(found.drawing, edges=found.selection.edges)
        with self._state:
            self._state.message = ""
            self._set_state()
        if is_new:
            self._scene.aim(found.drawing)
        self._send()
        if is_new:
            self._view.push_camera()

    def _send(self, **_: Any) -> None:
        """Send the scene to the browser, which draws the axes in a corner."""
        self._view.update(orientation_axis=1)

    def _set_state(self) -> None:
        found = self._shown
        self._asked = dict(found.controls)
        upload = self._uploads.get(found.case)
        simulates = self._model is not None and self._model.simulates
        self._state.update(found.controls | found.choices)
        self._state.update(
            {
                "notes": [] if upload is None else [*upload.notes],
                "can_simulate": (
                    simulates and upload is not None and upload.is_part and not upload.simulated
                ),
                "can_compensate": upload is not None and upload.compensated is not None,
            }
        )

    def reset_camera(self) -> None:
        """Aim the camera of the browser at the mesh again."""
        self._scene.aim(self._shown.drawing)
        self._send()
        self._view.push_camera()

    def place_camera(self) -> None:
        """Give the camera to a browser that has opened the page; the scene has no projection."""
        self._view.push_camera()

    # Uploads and downloads

    async def take_file(self, name: str, path: Path) -> str:
        """Work on an uploaded file; returns why not, if another one is being worked on."""
        if self._job is not None:
            return f"{name}: another file is being worked on; wait for it, or cancel it"
        taken, number = {*self._store.names}, 2
        case = name
        while case in taken:
            case, number = f"{name} ({number})", number + 1
        part_suffixes = () if self._model is None else self._model.part_suffixes
        upload = _Upload(path, path.suffix in part_suffixes)
        self._run(case, upload, simulate=False)
        return ""

    def simulate(self) -> None:
        """Simulate the uploaded part that is shown."""
        upload = self._uploads.get(self._shown.case)
        if upload is not None and self._job is None:
            self._run(self._shown.case, upload, simulate=True)

    def cancel(self) -> None:
        """Cancel the job."""
        if self._job is not None:
            self._job.cancel()

    def _run(self, case: str, upload: _Upload, *, simulate: bool) -> None:
        kind = "simulated" if simulate else "fields"
        fields = upload.file.with_name(f"{upload.file.stem}.{kind}.vtu")
        compensates = upload.is_part and self._model is not None and self._model.compensates
        surface = None
        if compensates and not simulate:
            surface = upload.file.with_name(f"{upload.file.stem}.compensated.stl")
        request = {
            "name": case,
            "file": str(upload.file),
            "fields": str(fields),
            "model": None if self._model is None else str(self._model.path.resolve()),
            "trust_code": self._model is not None and self._model.trust_code,
            "simulate": simulate,
            "compensated": None if surface is None else str(surface),
        }

        def on_event(event: dict[str, Any]) -> None:
            with self._state:
                if "progress" in event:
                    self._progress(*event["progress"])
                if "warning" in event:
                    text = event["warning"].replace(str(upload.file), case)
                    if text not in upload.notes:
                        upload.notes.append(text)
                if "fields" in event:
                    upload.simulated = upload.simulated or simulate
                    self._uploads[case] = upload
                    self._add(ViewCase(case, partial(Path, fields)))
                if "compensated" in event:
                    upload.compensated = surface
                    if self._shown.case == case:
                        self._state.can_compensate = True

        self._job = Job(request, on_event)
        self._start(self._finish(self._job))

    async def _finish(self, job: Job) -> None:
        with self._state:
            self._state.job_running = True
            self._state.message = ""
            self._progress(0, 0, "starting")
        try:
            failure = await job.run()
        finally:
            self._job = None
            with self._state:
                self._state.job_running = False
        with self._state:
            self._state.message = failure

    def _progress(self, done: int, total: int, text: str) -> None:
        known = total > 0
        self._state.job_text = f"simulated {done} of {total} steps" if known else text
        self._state.job_percent = 100 * done / total if known else -1

    def _add(self, case: ViewCase) -> None:
        """Add a case, or a new version of it, and show it."""
        self._store.add(case)
        self._state.cases = self._store.names
        self._state.case_name = case.name
        self._asked = {}  # also if the case is shown already
        self._on_change()

    async def find_download(self, what: str) -> tuple[Path, str] | None:
        """The file of a download, and its name; see :func:`~flare_mesh.viewer.routes`."""
        shown = self._shown
        stem = Path(shown.case).stem if shown.case in self._uploads else shown.case
        if what == "fields":
            path = self._folder / "download.vtu"
            await asyncio.to_thread(write_fields, shown.mesh.grid, path)
            step = f".step_{shown.step}" if len(shown.mesh.steps) > 1 else ""
            return path, f"{stem}{step}.vtu"
        upload = self._uploads.get(shown.case)
        if what == "compensated" and upload is not None and upload.compensated is not None:
            return upload.compensated, f"{stem}.compensated.stl"
        return None

    def _start(self, work: Any) -> None:
        """Run a coroutine in the background; the loop itself keeps no reference to it."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
