"""``flare-mesh report``: a run or predictions as one HTML file."""


def make_report(
    source: str, out: str = "report.html", data: str | None = None, trust_code: bool = False
) -> None:
    """Write a report of a run or of predictions: one HTML file that opens without a network.

    A run's report has its configuration, learning curves, errors beside those of the baselines,
    bands, and pictures and an interactive view of its best, median and worst test case. A report of
    predictions has their numbers, pictures and an interactive view.

    Args:
        source: Folder of a run; or a file that 'flare-mesh predict' wrote, or a folder of such
            files.
        out: HTML file to write; an older report is replaced.
        data: Folder of the data set of the run, if it is not where it was in training.
        trust_code: Accept a model or data set of a class outside flare-mesh; its code is run.
    """
    from flare_mesh.report import write_report

    missing = write_report(source, out, data=data, trust_code=trust_code)
    for text in missing:
        print(f"note: {text}")
    print(f"report: {out}")
