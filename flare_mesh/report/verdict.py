"""Whether a model is better than the baselines, as a sentence."""

from statistics import mean

from flare_mesh.training.run_results import RunResults


def verdict(results: RunResults) -> str:
    """Who has the smallest error on the test cases, in plain sentences.

    Models are compared by the mean of the relative L2 errors over the fields. A baseline that
    cannot predict all fields is left out of the comparison of the means.
    """
    errors = results.errors
    if not errors:
        return "The run has no test set: nothing is known about its errors on new cases."
    model = mean(errors.values())
    whole = {
        name: mean(found[field] for field in errors)
        for name, found in results.baselines.items()
        if found.keys() >= errors.keys()
    }
    if not whole:
        return (
            f"The mean relative L2 error on the test cases is {model:.4g}. The run was not "
            f"compared with baselines."
        )
    best = min(whole, key=lambda name: whole[name])
    if model < whole[best]:
        text = (
            f"The model is better than every baseline: its mean relative L2 error on the test "
            f"cases is {model:.4g}, that of the best baseline, {best}, is {whole[best]:.4g}"
            f"{_times(model, whole[best])}."
        )
    else:
        text = (
            f"The baseline {best} is better than the model: its mean relative L2 error on the test "
            f"cases is {whole[best]:.4g}, that of the model is {model:.4g}. Train longer, take a "
            f"larger learning rate, or give more inputs."
        )
    return " ".join([text, *_exceptions(results, model < whole[best])])


def _times(model: float, other: float) -> str:
    return f", {other / model:.2g} times as large" if model > 0 else ""


def _exceptions(results: RunResults, model_wins: bool) -> list[str]:
    """Sentences about fields in which the other one is better."""
    found = []
    for field, error in results.errors.items():
        known = {name: one[field] for name, one in results.baselines.items() if field in one}
        if not known:
            continue
        best = min(known, key=lambda name: known[name])
        if model_wins and known[best] <= error:
            found.append(f"For {field}, {best} is better ({known[best]:.4g} against {error:.4g}).")
        elif not model_wins and error < known[best]:
            found.append(
                f"For {field}, the model is better ({error:.4g} against {known[best]:.4g})."
            )
    return found
