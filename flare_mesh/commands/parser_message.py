"""What is wrong with an option, out of all that its parser says."""

import re

_NOISE = re.compile(r"(Given value|Subtypes|Subclass types|Expected a <class 'NoneType'>)")


def parser_message(text: str) -> str:
    """One line of an error of jsonargparse.

    Where it lists why a value is none of several types, that is the reason that tells most: a wrong
    option or value within the value, or else which types it may have.

    Args:
        text: The error's text, of any number of lines.
    """
    key = re.search(r'Parser key "([^"]+)"', text)
    line = " ".join(text.split())
    reasons = re.split(r"\s(?=- [A-Z]|- [\w.]+: |Given value|Subtypes:|Subclass types )", line)
    found = [
        _plain(reason.strip().removeprefix("- "))
        for reason in reasons
        if reason.strip().startswith("- ") and not _NOISE.search(reason)
    ]
    if "Union subtypes" not in text or not found:
        return _plain(line)
    telling = [reason for reason in found if not reason.startswith(("expected", "Does not"))]
    place = "" if key is None else f"{key[1]}: "
    return place + (telling[0] if telling else "; or ".join(found))


def _plain(text: str) -> str:
    text = re.sub(r'^Parser key "([^"]+)": ', r"\1: ", text)
    text = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text)
    text = re.sub(r"typing\.Literal\[([^]]*)\]", r"one of \1", text)
    return re.sub(r"Expected an? ", "expected ", text).replace("typing.", "")
