"""Report of a run or of predictions."""

from pathlib import Path

from flare_mesh.report.document import check_report_path


def write_report(
    source: str | Path,
    out: str | Path,
    *,
    data: str | Path | None = None,
    trust_code: bool = False,
) -> list[str]:
    """Write a report of a run or of predictions as one HTML file that opens offline::

        write_report("runs/plates", "plates.html")
        write_report("predicted.vtu", "predicted.html")

    Args:
        source: Folder of a run; or a file that ``flare-mesh predict`` wrote, or a folder of such
            files.
        out: HTML file to write; an older report is replaced.
        data: Folder of the data set of a run; by default where it was in training.
        trust_code: Whether a run may name a model or data set outside this package, whose code is
            run.

    Returns:
        What is missing in the report, and why; such as pictures, where there is no OpenGL.

    Raises:
        FileNotFoundError: If there is no such file or folder, or the run has not ended.
        ValueError: If the source is neither a run nor a prediction, a file is damaged, or ``out``
            has a file that is not a report.
        ImportError: If matplotlib is not installed.
    """
    from flare_mesh.prediction.read_prediction import find_predictions
    from flare_mesh.report.prediction_report import report_predictions
    from flare_mesh.report.run_report import report_run

    source = Path(source)
    check_report_path(out)
    if not source.exists():
        raise FileNotFoundError(f"{source}: no such file or folder")
    if (source / "config.yaml").is_file():
        return report_run(source, out, data=data, trust_code=trust_code)
    if data is not None:
        raise ValueError(f"data: expected a run, whose data set it is (got {source})")
    files = [source] if source.is_file() else find_predictions(source)
    if not files:
        raise ValueError(
            f"{source}: expected the folder of a run (got no config.yaml), or a folder of files "
            f"that 'flare-mesh predict' wrote (got none)"
        )
    return report_predictions(files, out, title=source.name)
