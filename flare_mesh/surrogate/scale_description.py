"""Scales of the fields in words."""

from flare_mesh.surrogate.case_scale import CaseScale

_SHOWN = 6  # factors of a power law
_LEAST_SHOWN = 0.02  # effect of a factor, relative to the largest


def describe_scale(scale: CaseScale) -> list[str]:
    """A line on the scale of each field, such as ``displacement scales as load^1.00 ...``."""
    lines = []
    for row, (field, factors) in enumerate(scale.factors.items()):
        inputs = " ".join(scale.channels[channel].name for channel in factors)
        if field not in scale.laws:
            lines.append(f"{field} is divided by {inputs}")
            continue
        terms, explained = _terms(scale, row), float(scale.explained[row])
        what = f"{field} / {f'({inputs})' if ' ' in inputs else inputs}" if inputs else field
        share = f"{100 * explained:.0f}" if explained < 0.99 else f"{100 * explained:.2f}"
        if terms:
            lines.append(
                f"{what} scales as {' '.join(terms)} (explains {share} % of the "
                f"variation of its size)"
            )
        else:
            lines.append(
                f"{what} has a constant scale, since no input or feature that is constant over "
                f"each case explains the variation of its size"
            )
    return lines


def _terms(scale: CaseScale, row: int) -> list[str]:
    """Factors of a power law, from the largest effect on the training cases."""
    exponents = scale.exponents[row]
    effects = (exponents * (scale.high - scale.low)).abs()
    order = [i for i in effects.argsort(descending=True).tolist() if effects[i] > 0]
    shown = [i for i in order if effects[i] >= _LEAST_SHOWN * effects.max()][:_SHOWN]
    terms = []
    for i in shown:
        channel, value = scale.channels[i], float(exponents[i])
        name = f"({channel.name})" if " " in channel.name else channel.name
        log = channel.log or bool(scale.is_log[i])
        terms.append(f"{name}^{value:.2f}" if log else f"exp({value:.3g} {name})")
    return [*terms, "..."] if len(shown) < len(order) else terms
