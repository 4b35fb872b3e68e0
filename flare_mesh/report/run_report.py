"""Report of a training run."""

from pathlib import Path
from typing import Any

from flare_mesh.analysis import operator_spectra
from flare_mesh.models import FLAREOperator
from flare_mesh.report.case_view import CaseView, view_of
from flare_mesh.report.document import Section, write_document
from flare_mesh.report.html import Html, tag
from flare_mesh.report.interactive import interactive
from flare_mesh.report.numbers import short
from flare_mesh.report.pictures import MAX_FIELDS, Painter, chart
from flare_mesh.report.run_cases import NodeSample, RunCases
from flare_mesh.report.run_tables import band_table, case_table, error_table, settings
from flare_mesh.report.verdict import verdict
from flare_mesh.surrogate import Surrogate, load_surrogate
from flare_mesh.training.run_results import RunResults
from flare_mesh.uncertainty.calibration import THRESHOLD
from flare_mesh.visualize import (
    plot_case_errors,
    plot_coverage,
    plot_error_by_distance,
    plot_error_histogram,
    plot_learning_curves,
    plot_parity,
    plot_spectra,
)

_MAX_LISTED = 20


def report_run(
    folder: str | Path,
    out: str | Path,
    *,
    data: str | Path | None = None,
    trust_code: bool = False,
) -> list[str]:
    """Write the report of a run that has ended.

    Args:
        folder: Folder of the run.
        out: HTML file to write.
        data: Folder of its data set; by default where it was in training.
        trust_code: Whether the run may name a model or data set outside this package.

    Returns:
        What is missing in the report, and why.

    Raises:
        FileNotFoundError: If the folder has no run that has ended.
        ValueError: If a file of the run is damaged.
        ImportError: If matplotlib is not installed.
    """
    results = RunResults.read(folder)
    surrogate = load_surrogate(folder, trust_code=trust_code)
    report = _RunReport(results, surrogate)
    report.read_cases(data, trust_code)
    sections = [
        report.errors(),
        report.training(),
        report.trust(),
        report.nodes(),
        report.cases(),
        report.view(),
        report.spectra(),
    ]
    title = f"{results.folder.resolve().name}: report of a training"
    lead = [tag("p", verdict(results), cls="verdict")]
    lead += [tag("p", text, cls="note warn") for text in report.missing]
    found = [section for section in sections if section is not None]
    write_document(out, title, lead, found, report.scene)
    return report.missing


class _RunReport:
    """Sections of the report of a run; those without content are None.

    Attributes:
        missing: What is missing, and why.
        scene: Cases of the interactive view.
    """

    def __init__(self, results: RunResults, surrogate: Surrogate) -> None:
        self.results = results
        self.surrogate = surrogate
        self.units = dict(surrogate.units)
        self.missing: list[str] = []
        self.scene: dict[str, Any] | None = None
        self._test: RunCases | None = None
        self._sample = NodeSample()
        self._views: dict[str, CaseView] = {}

    def read_cases(self, data: str | Path | None, trust_code: bool) -> None:
        """Read and predict the test cases, if there are some, and their data are still there."""
        results = self.results
        if not results.test_cases:
            self.missing.append("The run has no test cases: there are no pictures of cases.")
            return
        try:
            self._test = RunCases(results, self.surrogate, root=data, trust_code=trust_code)
            self._sample = self._test.sample()
            self._views = self._chosen_views(self._test)
        except (ValueError, OSError, ImportError) as error:
            self._test, self._sample = None, NodeSample()
            self.missing.append(
                f"The data of the test cases cannot be read, so that there are no pictures of "
                f"cases: {error}. Give their folder by --data."
            )

    def _chosen_views(self, test: RunCases) -> dict[str, CaseView]:
        """The cases with the smallest, the median and the largest error."""
        means = {
            name: mean for name, mean in self.results.case_means().items() if name in test.names
        }
        lost = len(self.results.test_cases) - len(means)
        if lost and not means:
            raise ValueError("none of the test cases of the run is in the data set")
        if lost:
            self.missing.append(f"{lost:,} test cases of the run are not in the data set any more.")
        names = [*means]
        places = {"best": 0, "median": (len(names) - 1) // 2, "worst": len(names) - 1}
        found: dict[str, CaseView] = {}
        for word, place in places.items():
            name = names[place]
            if any(one.title.partition(": ")[2] == name for one in found.values()):
                continue
            prediction = test.predict(name)
            notes = [f"mean relative L2 error {short(means[name])}"]
            if prediction.ood_score is not None:
                unlike = ", unlike the training cases" if prediction.is_unlike else ""
                notes.append(f"unlikeness {short(prediction.ood_score)}{unlike}")
            found[name] = view_of(prediction, title=f"{word}: {name}", notes=notes)
        return found

    def errors(self) -> Section | None:
        """Errors on the test cases beside those of the baselines."""
        results = self.results
        if not results.errors:
            return None
        count = f" of {len(results.test_cases):,} test cases" if results.test_cases else ""
        text = (
            f"Relative L2 error of each field, as the mean over the cases and its spread over "
            f"them{count}. The best mean of each row is bold. The baselines are simple predictions "
            f"without a trained model."
        )
        parts = [tag("p", text), error_table(results)]
        if results.test_cases:
            parts.append(chart(plot_case_errors, results, alt="sorted errors of the test cases"))
            parts.append(case_table(results, self._sample.scores))
        return Section("Errors on the test cases", parts)

    def training(self) -> Section:
        """What was trained, and the learning curves."""
        curves = chart(plot_learning_curves, self.results, alt="learning curves")
        return Section("Training", [*settings(self.results), curves])

    def trust(self) -> Section | None:
        """Bands and cases that are unlike the training cases."""
        results = self.results
        if results.bands is None:
            return None
        try:
            parts = band_table(results)
        except (LookupError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{results.folder / 'summary.json'}: damaged (bands: {type(error).__name__} "
                f"{error}); restore it, or train the run again"
            ) from error
        height = 1.6 + 0.5 * len(results.bands["covered"])
        parts.append(chart(plot_coverage, results, alt="coverage of the bands", size=(6.0, height)))
        scores = self._sample.scores
        unlike = sorted(
            (n for n in scores if scores[n][0] > THRESHOLD), key=lambda n: -scores[n][0]
        )
        if unlike:
            items = [
                tag(
                    "li",
                    f"{name}: {short(scores[name][0])} times the usual distance, in its "
                    f"{scores[name][1]}",
                )
                for name in unlike[:_MAX_LISTED]
            ]
            parts += [tag("p", "Unlike the training cases, so that their bands cannot be trusted:")]
            parts += [tag("ul", *items)]
            if len(unlike) > _MAX_LISTED:
                parts += [tag("p", f"and {len(unlike) - _MAX_LISTED:,} more", cls="note")]
        return Section("Bands and unlike cases", parts)

    def nodes(self) -> Section | None:
        """Predicted against true values, and the errors at the nodes."""
        sample, total = self._sample, len(self._test.names) if self._test is not None else 0
        if not sample.num_cases:
            return None
        used = "all" if sample.num_cases == total else f"{sample.num_cases:,} evenly spaced of"
        parts: list[Html] = [tag("p", f"At evenly spaced nodes of {used} {total:,} test cases.")]
        names = [*sample.truth][:MAX_FIELDS]
        for name in names:
            pair = sample.predicted[name], sample.truth[name]
            options = {"field": name, "unit": self.units.get(name)}
            charts = [
                chart(plot_parity, *pair, alt=f"parity of {name}", size=(4.8, 4.2), **options),
                chart(
                    plot_error_histogram, *pair, alt=f"errors of {name}", size=(4.8, 4.2), **options
                ),
            ]
            parts += [tag("h3", name), tag("div", *charts, cls="charts")]
        if len(sample.truth) > len(names):
            more = ", ".join([*sample.truth][MAX_FIELDS:])
            parts.append(tag("p", f"Without charts: {more}.", cls="note"))
        return Section("Errors at the nodes", parts)

    def cases(self) -> Section | None:
        """Pictures of the best, the median and the worst case."""
        if not self._views:
            return None
        painter, parts = Painter(), []
        for view in self._views.values():
            pictures = painter.pictures(view)
            parts += [tag("h3", view.title), tag("p", "; ".join(view.notes), cls="note"), *pictures]
        if painter.problem:
            self.missing.append(f"There are no pictures of cases: {painter.problem}.")
            parts.append(tag("p", f"No pictures: {painter.problem}.", cls="note"))
        parts += self._distances()
        return Section("The best, the median and the worst test case", parts)

    def _distances(self) -> list[Html]:
        """Error against the distance to the boundary, of the median case."""
        view = [*self._views.values()][(len(self._views) - 1) // 2]
        if not view.mesh.num_cells:
            return []
        charts = [
            chart(
                plot_error_by_distance,
                view.mesh,
                one.predicted,
                one.truth,
                alt=f"error of {one.name} by distance",
                size=(4.8, 3.8),
                field=one.name,
                unit=one.unit,
            )
            for one in view.fields[:MAX_FIELDS]
            if one.truth is not None
        ]
        head = tag("h3", f"Error against the distance from the boundary, {view.title}")
        return [head, tag("div", *charts, cls="charts")]

    def view(self) -> Section | None:
        """The interactive view of the cases with pictures."""
        if not self._views:
            return None
        self.scene, parts = interactive([*self._views.values()])
        return Section("Look at the cases", parts)

    def spectra(self) -> Section | None:
        """Spectra of the mixing matrices for the median case."""
        model = self.surrogate.model
        if self._test is None or not self._views or not isinstance(model, FLAREOperator):
            return None
        name = [*self._views][(len(self._views) - 1) // 2]
        x, pos, weight = self._test.inputs(name)
        try:
            found = operator_spectra(model, x, pos, weight=weight)
        except ValueError:  # an operator without one mixing matrix a head, or one with edges
            return None
        text = (
            f"Eigenvalues of the mixing matrix of each block for the case {name}. The effective "
            f"rank is the number of latents that a block makes use of."
        )
        return Section(
            "Mixing matrices",
            [tag("p", text), chart(plot_spectra, found, alt="spectra of the mixing matrices")],
        )
