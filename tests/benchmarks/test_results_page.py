"""The pages with results hold what was measured, and nothing else of them changes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks.claims import claims_under
from benchmarks.results import BEGIN, END, LADDER, NAMES, RULES, SHORT, ladder_table, main
from tests.scripts import ROOT
from tests.visualization.results_example import example_results

RESULTS = example_results()
SETS = {
    "data": "data/refshapes", "split": "test", "threshold_split": "val", "images": 2,
    "methods": {
        "demo": {"n": 4, "threshold": 0.5, "weights": "a CLIP",
                 "metrics": {"set_accuracy": 0.25, "n_acc": 0.125, "t_acc": 0.75, "presence_auroc": 0.5625},
                 "intervals": {"set_accuracy": [0.1, 0.4], "n_acc": [0.0, 0.2], "t_acc": [0.6, 0.9]}},
        "refshapes": {"n": 4, "threshold": 0.5, "weights": "a CLIP", "metrics": {"set_accuracy": 0.5, "n_acc": 0.25},
                      "intervals": {"set_accuracy": [0.1, 0.9], "n_acc": [0.0, 0.5]}},
    },
}  # fmt: skip


@pytest.fixture
def measured(tmp_path: Path) -> list[Path]:
    """results.json of the ladder and of the demo, sets.json, and results.json of the map with rules."""
    contents = {"results.json": RESULTS, "demo.json": RESULTS, "sets.json": SETS, "rules.json": RESULTS}
    for name, content in contents.items():
        (tmp_path / name).write_text(json.dumps(content))
    return [tmp_path / name for name in contents]


def test_page_and_readme(tmp_path: Path, measured: list[Path]) -> None:
    readme, page, claims = tmp_path / "README.md", tmp_path / "page.md", tmp_path / "claims.json"
    for path in (readme, page):
        path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):  # writing it again changes nothing
        main(*measured, page, readme, claims)
        table = ladder_table(claims_under(LADDER, claims))
        assert readme.read_text() == f"before\n{BEGIN}\n{table}\n{END}\nafter\n"
    assert page.read_text().startswith(f"before\n{BEGIN}\n") and page.read_text().endswith(f"{END}\nafter\n")
    assert "## Comparison of the methods" in page.read_text() and "old" not in page.read_text().splitlines()
    rows = [line for line in readme.read_text().splitlines() if line.startswith("|")]
    everything = {name: each for name, each in {**RESULTS["methods"], **RESULTS["bounds"]}.items() if name in NAMES}
    assert len(everything) > 2
    everything[RULES] = RESULTS["methods"]["zero-shot"]
    assert len(rows) == 2 + len(everything)
    for name, record in everything.items():
        row = next(line for line in rows[2:] if line.startswith(f"| {NAMES[name]} |"))
        cells = [cell.strip() for cell in row.strip("| ").split("|")][1:]
        low, high = record["intervals"]["acc@0.5"]
        assert cells[0] == f"{record['metrics']['acc@0.5']:.3f} [{low:.3f}, {high:.3f}]"
        wanted = [record["metrics"].get(metric) for metric in list(SHORT.values())[1:]]
        assert cells[1:] == ["-" if value is None else f"{value:.3f}" for value in wanted]
    accuracies = [float(row.split("|")[2].split()[0]) for row in rows[2:]]
    assert accuracies == sorted(accuracies, reverse=True)
    held = json.loads(claims.read_text())
    assert held["sets/demo n_acc"]["value"] == 0.125 and held["sets/demo n_acc"]["interval"] == [0.0, 0.2]
    assert held["sets/demo n_acc"]["goal"] is None and held["sets/refshapes n_acc"]["goal"] == [0.7, None]
    assert not held["sets/refshapes n_acc"]["met"]
    error = RESULTS["methods"]["zero-shot"]["metrics"]["ece"]
    assert held["calibration error/zero-shot"]["value"] == error
    assert held["sets/demo presence_auroc"]["value"] == 0.5625 and "0.562" in page.read_text()


def test_the_readme_says_what_the_page_says() -> None:
    """All are written in one go; a table edited by hand would tell."""
    page = (ROOT / "docs" / "results.md").read_text()
    table = (ROOT / "README.md").read_text().partition(BEGIN)[2].partition(END)[0]
    values = re.findall(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", table)
    assert len(values) > 6
    for value in values:
        assert value in page
    assert table.strip() == ladder_table(claims_under(LADDER, ROOT / "docs" / "claims.json"))
