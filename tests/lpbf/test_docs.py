import re
from pathlib import Path

import lpbf

PAGE = (Path(__file__).parents[2] / "docs/lpbf.md").read_text()


def test_fields_and_strategies_are_those_of_the_process():
    table = PAGE.split("| field | model")[1].split("\n\n")[0]
    cells = [row.split("|")[1] for row in table.splitlines()[2:]]
    fields = set(re.findall(r"`(\w+)`", " ".join(cells)))
    assert fields == set(lpbf.Process.__dataclass_fields__)
    table = PAGE.split("| name | vectors")[1].split("\n\n")[0]
    assert set(re.findall(r'`"(\w+)"`', table)) == set(lpbf.SCANS)
