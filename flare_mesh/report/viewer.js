"use strict";
// Interactive view of the cases in the element "scene": triangles or points in the colours of a field.
// Drag rotates, shift and drag (or the right button) moves, the wheel zooms, a double click resets.
(() => {
  const scene = JSON.parse(document.getElementById("scene").textContent);
  const view = document.getElementById("view");
  const make = (name, parent, text) => {
    const element = parent.appendChild(document.createElement(name));
    if (text !== undefined) element.textContent = text;
    return element;
  };
  const controls = make("div", view);
  controls.className = "controls";
  const canvas = make("canvas", view);
  const bar = make("div", view);
  bar.className = "bar";
  const gl = canvas.getContext("webgl2", { antialias: true });
  if (!gl) {
    view.textContent = "This browser has no WebGL 2, which the interactive view needs.";
    return;
  }

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const floats = (text) => new Float32Array(bytes(text).buffer);
  const shorts = (text) => new Uint16Array(bytes(text).buffer);

  const compile = (kind, source) => {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    return shader;
  };
  const program = gl.createProgram();
  gl.attachShader(program, compile(gl.VERTEX_SHADER, `#version 300 es
    in vec3 position, warp;
    in float value;
    uniform mat3 rotation;
    uniform vec2 move, stretch;
    uniform float factor, dot;
    out vec3 place;
    out float colour;
    void main() {
      place = rotation * (position + factor * warp);
      gl_Position = vec4((place.xy + move) * stretch, -0.2 * place.z, 1.0);
      gl_PointSize = dot;
      colour = value;
    }`));
  gl.attachShader(program, compile(gl.FRAGMENT_SHADER, `#version 300 es
    precision highp float;
    in vec3 place;
    in float colour;
    uniform sampler2D map;
    uniform bool lit;
    out vec4 result;
    void main() {
      // The largest of the 65,536 numbers stands for a missing value.
      vec3 base = colour > 0.999992 ? vec3(0.94, 0.2, 0.9)
        : texture(map, vec2((min(colour, 1.0) * 255.0 + 0.5) / 256.0, 0.5)).rgb;
      float light = 1.0;
      if (lit) light = 0.6 + 0.4 * abs(normalize(cross(dFdx(place), dFdy(place))).z);
      result = vec4(base * light, 1.0);
    }`));
  gl.linkProgram(program);
  gl.useProgram(program);
  const at = (name) => gl.getUniformLocation(program, name);
  const fill = (name, size, data, type, normalized) => {
    const place = gl.getAttribLocation(program, name);
    gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, data, gl.STATIC_DRAW);
    gl.enableVertexAttribArray(place);
    gl.vertexAttribPointer(place, size, type, normalized, 0, 0);
  };
  const buffers = {};
  for (const name of ["position", "warp", "value"]) buffers[name] = gl.createBuffer();
  const corners = gl.createBuffer();
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_MIN_FILTER, gl.LINEAR);
  gl.texParameteri(gl.TEXTURE_2D, gl.TEXTURE_WRAP_S, gl.CLAMP_TO_EDGE);
  gl.enable(gl.DEPTH_TEST);
  gl.clearColor(1, 1, 1, 1);

  let shape, shown, count, rotation, zoom, move;
  const chooser = (name) => {
    const label = make("label", controls, name);
    return make("select", label);
  };
  const caseList = chooser("case");
  const fieldList = chooser("field");
  const kindList = chooser("show");
  const slider = make("input", make("label", controls, "deformation"));
  slider.type = "range";
  slider.step = "any";
  const times = make("span", controls);
  const low = make("span", bar), strip = make("canvas", bar), high = make("span", bar);
  const remark = make("span", bar);
  strip.width = 256;
  strip.height = 1;

  const options = (list, texts) => {
    const before = list.selectedIndex;
    list.replaceChildren(...texts.map((text) => {
      const option = document.createElement("option");
      option.textContent = text;
      return option;
    }));
    list.selectedIndex = before >= 0 && before < texts.length ? before : 0;
    list.parentElement.hidden = texts.length < 2;
  };

  const reset = () => {
    rotation = shape.rotation.slice();
    zoom = 1;
    move = [0, 0];
  };

  const chooseCase = () => {
    shape = scene.cases[caseList.selectedIndex];
    const points = floats(shape.points);
    fill("position", 3, points, gl.FLOAT, false);
    count = points.length / 3;
    if (shape.triangles) {
      const numbers = new Uint32Array(bytes(shape.triangles).buffer);
      gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, corners);
      gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, numbers, gl.STATIC_DRAW);
      count = numbers.length;
    }
    slider.parentElement.hidden = times.hidden = !shape.factor;
    slider.min = 0;
    slider.max = 2 * (shape.factor || 1);
    slider.value = shape.factor || 0;
    remark.textContent = shape.remark;
    options(fieldList, shape.fields.map((field) => field.name));
    reset();
    chooseField();
  };

  const chooseField = () => {
    options(kindList, shape.fields[fieldList.selectedIndex].views.map((one) => one.name));
    chooseKind();
  };

  const chooseKind = () => {
    const field = shape.fields[fieldList.selectedIndex];
    shown = field.views[kindList.selectedIndex];
    fill("value", 1, shorts(shown.values), gl.UNSIGNED_SHORT, true);
    const warp = shape.warps[shown.warp];
    fill("warp", 3, warp ? floats(warp) : new Float32Array(floats(shape.points).length), gl.FLOAT, false);
    const map = bytes(scene.maps[shown.map]);
    gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGBA, 256, 1, 0, gl.RGBA, gl.UNSIGNED_BYTE, map);
    strip.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(map), 256, 1), 0, 0);
    low.textContent = shown.low;
    high.textContent = `${shown.high} ${field.unit}`;
    draw();
  };

  const draw = () => {
    const ratio = window.devicePixelRatio || 1;
    const width = Math.max(1, Math.round(canvas.clientWidth * ratio));
    const height = Math.max(1, Math.round(canvas.clientHeight * ratio));
    if (canvas.width !== width || canvas.height !== height) {
      canvas.width = width;
      canvas.height = height;
    }
    gl.viewport(0, 0, width, height);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    const least = Math.min(width, height);
    gl.uniform2f(at("stretch"), zoom * least / width, zoom * least / height);
    gl.uniform2f(at("move"), move[0], move[1]);
    gl.uniformMatrix3fv(at("rotation"), true, rotation);
    const factor = shape.factor ? Number(slider.value) : 0;
    times.textContent = `x ${Number(factor.toPrecision(2))}`;
    gl.uniform1f(at("factor"), factor);
    gl.uniform1f(at("dot"), Math.max(2, 3 * ratio * Math.sqrt(zoom)));
    gl.uniform1i(at("lit"), shape.lit ? 1 : 0);
    if (shape.triangles) gl.drawElements(gl.TRIANGLES, count, gl.UNSIGNED_INT, 0);
    else gl.drawArrays(gl.POINTS, 0, count);
  };

  // Rotation by angles about the view's vertical and horizontal axes, before the present one.
  const turn = (x, y) => {
    const [cx, sx, cy, sy] = [Math.cos(x), Math.sin(x), Math.cos(y), Math.sin(y)];
    const about = [cx, 0, sx, sy * sx, cy, -sy * cx, -cy * sx, sy, cy * cx];
    const old = rotation;
    rotation = old.map((_, k) => {
      const [row, column] = [3 * Math.floor(k / 3), k % 3];
      return [0, 1, 2].reduce((sum, j) => sum + about[row + j] * old[3 * j + column], 0);
    });
  };

  const pointers = new Map();
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel"]) {
    canvas.addEventListener(end, (event) => pointers.delete(event.pointerId));
  }
  canvas.addEventListener("pointermove", (event) => {
    const last = pointers.get(event.pointerId);
    if (!last) return;
    const [dx, dy] = [event.clientX - last.clientX, event.clientY - last.clientY];
    const size = Math.min(canvas.clientWidth, canvas.clientHeight);
    if (pointers.size === 2) {
      const other = [...pointers.values()].find((one) => one.pointerId !== event.pointerId);
      const reach = (one) => Math.hypot(one.clientX - other.clientX, one.clientY - other.clientY);
      zoom *= reach(event) / Math.max(1, reach(last));
    }
    if (pointers.size === 2 || event.shiftKey || event.buttons === 2) {
      move = [move[0] + 2 * dx / size / zoom, move[1] - 2 * dy / size / zoom];
    } else turn(4 * dx / size, 4 * dy / size);
    pointers.set(event.pointerId, event);
    draw();
  });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  canvas.addEventListener("dblclick", () => { reset(); draw(); });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom = Math.min(200, Math.max(0.2, zoom * Math.exp(-0.0015 * event.deltaY)));
    draw();
  }, { passive: false });
  window.addEventListener("resize", draw);
  caseList.addEventListener("change", chooseCase);
  fieldList.addEventListener("change", chooseField);
  kindList.addEventListener("change", chooseKind);
  slider.addEventListener("input", draw);
  options(caseList, scene.cases.map((one) => one.name));
  chooseCase();
})();
