"""The page of the viewer."""

from typing import Any

from flare_mesh.viewer.scene import AXES
from flare_mesh.viewer.selection import NORMAL, OBLIQUE, SIDES

_DENSE = {"density": "compact", "hide_details": True, "variant": "outlined"}
# Without the attribute the browser would leave the page, and its connection with it.
_SAVED = {"raw_attrs": ["download"]}
_STYLE = """
.flare-panel .v-navigation-drawer__content { padding: 20px 16px 16px; }
.flare-panel .v-label, .flare-panel .v-field, .flare-panel .v-btn { font-size: 14px; }
.flare-panel .v-switch { margin-left: 8px; }
.flare-panel .heading { font-weight: 600; margin: 14px 0 6px; font-size: 14px; }
.flare-panel .row { margin-bottom: 10px; }
.flare-view { display: flex; height: 100vh; background: white; }
.flare-view .picture { position: relative; flex: 1; min-width: 0; }
.flare-bar { width: 140px; align-self: center; padding: 8px; font-size: 13px; color: #1f2933; }
.flare-bar .scale { display: flex; height: 50vh; }
.flare-bar .strip { width: 18px; border: 1px solid #1f2933; }
.flare-bar .ticks { display: flex; flex-direction: column; justify-content: space-between;
  padding-left: 6px; margin: -8px 0; }
.flare-axes { position: absolute; left: 12px; bottom: 4px; pointer-events: none; font-weight: 600; }
.flare-axes span { margin-right: 8px; }
.flare-caption { position: absolute; left: 16px; top: 8px; color: #1f2933; pointer-events: none;
  font-size: 14px; }
"""


def build_page(server: Any, window: Any, actions: Any) -> Any:
    """Build the page, and return the view of the scene.

    Args:
        server: The trame server, whose state has the values of the page.
        window: Render window of the scene.
        actions: Object with the methods ``cancel``, ``simulate``, ``reset_camera`` and
            ``place_camera``.
    """
    from trame.ui.vuetify3 import VAppLayout
    from trame.widgets import client, html, vtk
    from trame.widgets import vuetify3 as v

    # The view is ready after each change, but a reader keeps the camera that they have chosen.
    place = server.trigger_name(actions.place_camera)
    once = f"window.flarePlaced || (window.flarePlaced = true, trigger('{place}'))"
    with VAppLayout(server):
        client.Style(_STYLE)
        with v.VNavigationDrawer(permanent=True, width=330, classes="flare-panel"):
            _case(html, v)
            _field(html, v)
            _shape(html, v)
            _upload(html, v, actions)
            _downloads(html, v)
        with v.VMain(), html.Div(classes="flare-view"):
            with html.Div(classes="picture"):
                view = vtk.VtkLocalView(window, ref="view", on_ready=once)
                _texts(html, v, actions)
            with html.Div(classes="flare-bar", v_if=("ticks.length",), id="bar"):
                html.Div("{{ label }}", style="margin-bottom: 14px; overflow-wrap: anywhere")
                with html.Div(classes="scale"):
                    html.Div(classes="strip", style=("{ background: bar }",))
                    with html.Div(classes="ticks"):
                        html.Div("{{ tick }}", v_for="tick in ticks", key="tick")
    return view


def _texts(html: Any, v: Any, actions: Any) -> None:
    """Texts and messages over the picture."""
    with html.Div(classes="flare-caption"):
        html.Div("{{ case_name }}", style="font-weight: 600")
        html.Div("{{ summary }}")
        html.Div("{{ caption }}", id="caption")
    v.VProgressLinear(
        v_if=("computing || uploading",),
        indeterminate=True,
        style="position: absolute; top: 0; left: 0",
        id="computing",
    )
    v.VBtn(
        "Reset the view",
        click=actions.reset_camera,
        size="small",
        variant="outlined",
        classes="text-none",
        style="position: absolute; right: 8px; top: 8px; background: white",
        id="reset",
    )
    with html.Div(classes="flare-axes"):
        for name, colour in AXES.items():
            html.Span(name, style=f"color: {colour}")
    with html.Div(style="position: absolute; left: 160px; right: 16px; bottom: 12px"):
        v.VAlert(
            "{{ note }}",
            v_for="note in notes",
            key="note",
            type="warning",
            density="compact",
            classes="mb-2 note",
        )
        v.VAlert(
            "{{ message }}",
            v_if=("message",),
            type="error",
            density="compact",
            closable=True,
            click_close="message = ''",
            id="message",
        )


def _case(html: Any, v: Any) -> None:
    with html.Div(classes="row"):
        v.VSelect(v_model=("case_name",), items=("cases",), label="Case", id="case", **_DENSE)
    with html.Div(v_if=("steps.length > 1",), classes="row", id="step"):
        html.Div("Step {{ step + 1 }} of {{ steps.length }}: {{ steps[step] }}")
        v.VSlider(v_model=("step",), min=0, max=("steps.length - 1",), step=1, hide_details=True)


def _field(html: Any, v: Any) -> None:
    with html.Div(v_if=("fields.length",)):
        with html.Div(classes="row"):
            v.VSelect(v_model=("field",), items=("fields",), label="Field", id="field", **_DENSE)
        with html.Div(classes="row", v_if=("components.length",)):
            v.VSelect(
                v_model=("component",),
                items=("components",),
                label="Component",
                id="component",
                **_DENSE,
            )
        with (
            html.Div(classes="row", v_if=("kinds.length > 1",)),
            v.VBtnToggle(
                v_model=("kind",),
                mandatory=True,
                density="compact",
                divided=True,
                variant="outlined",
                color="primary",
                id="kind",
            ),
        ):
            v.VBtn(
                "{{ one }}",
                v_for="one in kinds",
                key="one",
                value=("one",),
                size="small",
                classes="text-none",
            )


def _shape(html: Any, v: Any) -> None:
    with html.Div(v_if=("warps.length > 1",)):
        html.Div("Deformation", classes="heading")
        with html.Div(classes="row"):
            v.VSelect(v_model=("warp",), items=("warps",), label="Deformed by", id="warp", **_DENSE)
        with html.Div(v_if=("warp",), classes="row", id="factor"):
            html.Div("x {{ Number(factor.toPrecision(3)) }}")
            v.VSlider(v_model=("factor",), min=0, max=("factor_max",), hide_details=True, step=0)
    html.Div("Clip plane", classes="heading")
    v.VSwitch(
        v_model=("clip_on",),
        label="Cut the mesh",
        color="primary",
        id="clip",
        density="compact",
        hide_details=True,
    )
    with html.Div(v_if=("clip_on",), id="plane"):
        with html.Div(classes="row d-flex", style="gap: 8px"):
            v.VSelect(
                v_model=("clip_axis",), items=("clip_axes",), label="Normal", id="axis", **_DENSE
            )
            v.VSelect(
                v_model=("clip_side",), items=("sides", [*SIDES]), label="Keep", id="side", **_DENSE
            )
        with html.Div(
            v_if=(f"clip_axis === '{OBLIQUE}'",),
            classes="row d-flex",
            style="gap: 8px",
            id="normal",
        ):
            for name in NORMAL:
                v.VTextField(
                    v_model_number=(name,), label=name[-1], type="number", step="any", **_DENSE
                )
        html.Div(
            "{{ clip_expression }} = {{ Number(clip_position.toPrecision(4)) }}", id="position"
        )
        v.VSlider(
            v_model=("clip_position",),
            min=("clip_low",),
            max=("clip_high",),
            step=0,
            hide_details=True,
        )
    v.VSwitch(
        v_model=("edges",),
        label="Edges of the cells",
        color="primary",
        id="edges",
        density="compact",
        hide_details=True,
    )


def _upload(html: Any, v: Any, actions: Any) -> None:
    html.Div("{{ has_model ? 'Predict your own part' : 'Your own mesh' }}", classes="heading")
    v.VFileInput(
        v_model=("upload", None),
        accept=("accept",),
        label="Choose a file",
        disabled=("job_running || uploading",),
        update_modelValue="window.flareUpload($event)",
        prepend_icon="",
        id="upload",
        **_DENSE,
    )
    html.Div(
        "Up to {{ max_upload }} MB: {{ accept.replaceAll(',', ', ') }}",
        style="font-size: 12px; color: #52606d; margin-top: 4px",
    )
    v.VBtn(
        "Simulate it beside",
        v_if=("can_simulate",),
        disabled=("job_running",),
        click=actions.simulate,
        size="small",
        classes="mt-2 text-none",
        id="simulate",
    )
    with html.Div(v_if=("job_running",), id="job", classes="mt-2"):
        html.Div("{{ job_text }}", id="job_text")
        v.VProgressLinear(
            model_value=("job_percent",), indeterminate=("job_percent < 0",), color="primary"
        )
        v.VBtn("Cancel", click=actions.cancel, size="small", classes="mt-2 text-none", id="cancel")


def _downloads(html: Any, v: Any) -> None:
    html.Div("Download", classes="heading")
    with html.Div(classes="d-flex", style="gap: 8px"):
        v.VBtn(
            "VTU file",
            href="download/fields",
            **_SAVED,
            size="small",
            classes="text-none",
            id="get_fields",
        )
        v.VBtn(
            "Compensated STL",
            v_if=("can_compensate",),
            href="download/compensated",
            **_SAVED,
            size="small",
            classes="text-none",
            id="get_compensated",
        )
