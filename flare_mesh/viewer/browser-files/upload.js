"use strict";
// Sends a file of the reader to the viewer, which answers with a message if it refuses it. One that is
// too large is not sent.
window.flareUpload = async (files) => {
  const file = Array.isArray(files) ? files[0] : files;
  const state = window.trame.state;
  if (!file) return;
  state.set("message", "");
  state.set("uploading", true);
  const megabytes = Number(state.get("max_upload"));
  try {
    if (file.size > megabytes * 1e6) throw new RangeError(
      `is larger than ${megabytes} MB; start the viewer with a larger --max-upload`);
    const answer = await fetch(`upload?name=${encodeURIComponent(file.name)}`, {
      method: "POST",
      headers: { "Content-Type": "application/octet-stream" },
      body: file,
    });
    const refused = (await answer.json()).error;
    if (refused) state.set("message", refused);
  } catch (error) {
    const reason = error instanceof RangeError ? error.message : `the upload failed (${error.message})`;
    state.set("message", `${file.name}: ${reason}`);
  }
  state.set("uploading", false);
  state.set("upload", null);
};
