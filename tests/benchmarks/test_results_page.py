"""The pages with results hold what was measured, and nothing else of them changes."""

from __future__ import annotations

import json
import re
from pathlib import Path

from benchmarks.claims import claims_under
from benchmarks.results import BEGIN, END, LADDER, NAMES, RULES, SHORT, ladder_table, main
from tests.scripts import ROOT
from tests.visualization.results_example import example_results

RESULTS = example_results()
SETS = {
    "data": "data/refshapes", "split": "test", "threshold_split": "val", "images": 2,
    "methods": {
        "refshapes": {"n": 4, "threshold": 0.5, "weights": "a CLIP",
                      "metrics": {"set_accuracy": 0.25, "n_acc": 0.125, "t_acc": 0.75, "presence_auroc": 0.5625},
                      "intervals": {"set_accuracy": [0.1, 0.4], "n_acc": [0.0, 0.2], "t_acc": [0.6, 0.9]}},
    },
}  # fmt: skip


def test_page_and_readme(tmp_path: Path) -> None:
    results, sets = tmp_path / "results.json", tmp_path / "sets.json"
    results.write_text(json.dumps(RESULTS))
    sets.write_text(json.dumps(SETS))
    readme, page, claims = tmp_path / "README.md", tmp_path / "page.md", tmp_path / "claims.json"
    for path in (readme, page):
        path.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    main(results, results, sets, results, page, readme, claims)
    table = ladder_table(claims_under(LADDER, claims))
    assert readme.read_text() == f"before\n{BEGIN}\n{table}\n{END}\nafter\n"
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
    of_none = held["sets/refshapes n_acc"]
    assert of_none["value"] == 0.125 and of_none["interval"] == [0.0, 0.2] and of_none["goal"] == [0.7, None]
    assert not of_none["met"]
    assert held["calibration error/zero-shot"]["value"] == RESULTS["methods"]["zero-shot"]["metrics"]["ece"]
    assert held["sets/refshapes presence_auroc"]["value"] == 0.5625 and "0.562" in page.read_text()


def test_the_readme_says_what_the_page_says() -> None:
    """All are written in one go; a table edited by hand would tell."""
    page = (ROOT / "docs" / "results.md").read_text()
    table = (ROOT / "README.md").read_text().partition(BEGIN)[2].partition(END)[0]
    values = re.findall(r"\d\.\d{3} \[\d\.\d{3}, \d\.\d{3}\]", table)
    assert len(values) > 6
    for value in values:
        assert value in page
    assert table.strip() == ladder_table(claims_under(LADDER, ROOT / "docs" / "claims.json"))
