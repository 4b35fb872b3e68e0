"""``flare-mesh view``: fields in the browser."""


def view_files(
    source: list[str] | str,
    model: str | None = None,
    data: str | None = None,
    host: str = "127.0.0.1",
    port: int = 8080,
    browser: bool = True,
    max_upload: float = 200.0,
    trust_code: bool = False,
) -> None:
    """Show the cases of runs, predictions or mesh files in the browser.

    Case, field, truth, prediction and error, deformation, clip plane and time step are chosen in
    the page. A mesh or part can be uploaded there, and is predicted by the model. Ctrl-C ends it.

    Args:
        source: Folder of a run, mesh files or files that 'flare-mesh predict' wrote, or folders of
            them. Can be given without --source.
        model: Run or surrogate that predicts uploaded files; by default the first run.
        data: Folder of the data set of a run, if it is not where it was in training.
        host: Address to listen at; others than the default can be reached from other machines.
        port: Port; 0 for a free one.
        browser: Open the page in the browser.
        max_upload: Largest size of an uploaded file, MB.
        trust_code: Accept a model or data set of a class outside flare-mesh; its code is run.
    """
    from flare_mesh.viewer import view
    from flare_mesh.viewer.serve import LOCAL, open_browser

    if host != LOCAL:
        print(
            f"warning: {host}: the address below is a key, and is sent unencrypted: whoever reads "
            "it can view and upload files"
        )

    def on_ready(address: str) -> None:
        print(f"viewer: {address} (Ctrl-C ends it)", flush=True)
        if browser:
            open_browser(address)

    view(
        [source] if isinstance(source, str) else source,
        model=model,
        data=data,
        host=host,
        port=port,
        max_upload=max_upload,
        trust_code=trust_code,
        on_ready=on_ready,
    )
    print("viewer closed")
