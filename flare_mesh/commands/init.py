"""``flare-mesh init``: write a configuration for a folder of results."""

from pathlib import Path
from typing import Any

from flare_mesh.files import check_folder, write_text


def init(
    folder: str,
    targets: list[str] | str | None = None,
    inputs: list[str] | str | None = None,
    out: str = "fit.yaml",
    budget: str = "5m",
    data: str = "mesh_folder",
    options: dict[str, Any] | None = None,
    table: str | None = None,
    series: int | None = None,
    skip_bad: bool = False,
    overwrite: bool = False,
) -> None:
    """Look at a folder of results, and write a configuration to train a surrogate on it.

    Reads the names of all files, tables, and at most 64 of the meshes. The configuration says in
    comments what was found, chosen and left out, and why; change it as you like, and train by
    'flare-mesh fit --config fit.yaml'.

    Args:
        folder: Folder of the results; may be given without --folder.
        targets: Fields to predict, with commas between them. Required for a folder of mesh files;
            without it, the error lists the fields.
        inputs: More inputs than the numbers of each case, which are all taken if they vary: fields
            of the files, or numbers that would be left out.
        out: Configuration file to write.
        budget: Time for training, such as 90s, 5m or 2h.
        data: Name of a data set, for a folder in its layout instead of mesh files.
        options: Options of that data set, such as '{"stride": 10}'.
        table: CSV file with numbers of each case, whose first column names the cases; by default
            the one in or beside the folder.
        series: Take the files as time series, and predict each step from this many steps before it.
        skip_bad: Leave out cases that cannot be used.
        overwrite: Replace the configuration file.
    """
    target = Path(out)
    if target.suffix.lower() not in (".yaml", ".yml"):
        raise ValueError(f"{out}: expected a file name that ends in .yaml")
    check_folder(target)
    if target.exists() and not overwrite:
        raise ValueError(
            f"{out}: exists already; choose another --out, or replace it by --overwrite"
        )
    given: dict[str, Any] = {"targets": targets, "inputs": inputs, "budget": budget, "out": out}
    if data == "mesh_folder":
        from flare_mesh.commands.init_folder import folder_config

        if options is not None:
            raise ValueError("options: only for a data set by --data; leave it out")
        given |= {"table": table, "series": series, "skip_bad": skip_bad}
        text, report = folder_config(folder, **given)
    else:
        from flare_mesh.commands.init_dataset import dataset_config

        own = {"table": table, "series": series, "skip_bad": skip_bad or None}
        wrong = [name for name, value in own.items() if value is not None]
        if wrong:
            raise ValueError(f"{wrong[0]}: only for a folder of mesh files; leave it out")
        text, report = dataset_config(folder, data, options=options or {}, **given)
    write_text(target, text)
    print("\n".join([*report, f"wrote {out}; train by: flare-mesh fit --config {out}"]))
