"""The report notebook: short enough to be read, made of the package's core, whole without it, and it runs."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from notebooks.build import NOTEBOOK, PARTS, ROOT, build, execute, lines_of_code
from notebooks.sources import selected, without_imports

MOST_LINES, MOST_CELLS = 1500, 40  # all lines, comments and blank ones included
# Decimals of the text that are nobody's result: IoU thresholds and starting values of the formulas.
NO_RESULTS = {"0.67", "0.74"}  # published on RefCOCOg: docs/results.md lists their sources


@pytest.fixture(scope="module")
def built() -> NotebookNode:
    return build()


@pytest.fixture(scope="module")
def committed() -> NotebookNode:
    return nbformat.read(NOTEBOOK, as_version=4)


def test_is_what_the_package_and_the_parts_make(built: NotebookNode, committed: NotebookNode) -> None:
    remedy = "the package or notebooks/parts has changed: run python -m notebooks.build --execute"
    assert [(cell.id, cell.source) for cell in committed.cells] == [(cell.id, cell.source) for cell in built.cells], (
        remedy
    )
    nbformat.validate(committed)


def test_is_short_and_every_cell_is_introduced(built: NotebookNode) -> None:
    kinds = [cell.cell_type for cell in built.cells]
    assert kinds.count("code") <= MOST_CELLS
    assert lines_of_code(built) <= MOST_LINES
    assert ("code", "code") not in list(pairwise(kinds))


def test_uses_nothing_that_no_cell_above_defines(built: NotebookNode, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text("\n\n".join(_code(built)))
    ruff = Path(sys.executable).with_name("ruff")
    checked = subprocess.run([ruff, "check", "--isolated", "--select", "F821,F822,F823", program],
                             capture_output=True, text=True)  # fmt: skip
    assert checked.returncode == 0, checked.stdout
    for cell in _code(built):
        assert "%%writefile" not in cell
        assert not [node for node in ast.walk(ast.parse(cell)) if "grounding" in _imported(node)]


def test_no_name_of_one_source_hides_that_of_another(built: NotebookNode) -> None:
    names = Counter(
        name
        for cell in _code(built)
        for node in ast.parse(cell).body
        for name in _defined(node)
        if isinstance(node, ast.FunctionDef | ast.ClassDef) or name.isupper()
    )
    assert [name for name, count in names.items() if count > 1 and name not in ("MODE", "FAST")] == []


def test_sources_keep_their_code_and_lose_what_was_asked(tmp_path: Path) -> None:
    module = tmp_path / "module.py"
    module.write_text(
        'import os\n\n\ndef doubled(x: int) -> int:\n    """Twice x.\n\n    Args:\n        x: a number.\n    """\n'
        '    if x < 0:\n        raise ValueError("negative")\n    return 2 * x\n\n\n# How many.\nCOUNT = 3\n\n\n'
        "class Pair:\n    def first(self) -> int:\n        return 1\n\n    def second(self) -> int:\n        return 2\n"
    )
    taken = selected(module, "Pair(-second), doubled, COUNT")
    assert '"""Twice x."""' in taken and "Args:" not in taken and "raise" not in taken and "# How many." in taken
    values: dict[str, object] = {}
    exec(taken, values)
    assert values["COUNT"] == 3 and values["doubled"](4) == 8  # type: ignore[operator]
    assert not hasattr(values["Pair"], "second") and hasattr(values["Pair"], "first")
    with pytest.raises(SystemExit, match="has no third"):
        selected(module, "third")


def test_what_a_formatter_spreads_is_brought_together(tmp_path: Path) -> None:
    names = ", ".join(f"name_of_argument_{number}={number}" for number in range(6))
    module = tmp_path / "module.py"
    module.write_text(f"def called(**values: int) -> int:\n    total = called({names})\n\n    return total\n\n\n"
                      "LISTED = [\n    1,  # one\n    2,\n]\n")  # fmt: skip
    taken = without_imports(selected(module, "called, LISTED"))
    assert ast.dump(ast.parse(taken)) == ast.dump(ast.parse(module.read_text()))
    _, first, second, last, *_ = taken.splitlines()
    assert first.startswith("    total = called(name_of_argument_0=0, ") and len(first) <= 120
    assert second.lstrip().startswith("name_of_argument_") and second.endswith(")")
    assert last == "    return total" and "    1,  # one" in taken


def test_every_number_of_the_text_is_a_claim() -> None:
    for part in sorted(PARTS.glob("*.md")):
        text = re.sub(r"\{\{claim: [^}]+\}\}|<!--.*?-->|\$\$.*?\$\$", "", part.read_text(), flags=re.DOTALL)
        found = set(re.findall(r"(?<![\w.:])\d+\.\d\d+(?!\d*\.|\w)", text)) - NO_RESULTS
        assert not found, f"{part.name} states {found}: compute it in a cell, or write {{{{claim: KEY}}}}"


def test_committed_outputs_are_whole_and_clean(committed: NotebookNode) -> None:
    code = [cell for cell in committed.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = _outputs(committed)
    assert not [each for each in outputs if each.output_type == "error" or each.get("name") == "stderr"]
    assert _pictures(committed) >= 7
    text = NOTEBOOK.read_text()
    assert len(text) < 4 * 2**20
    assert str(ROOT) not in text and str(Path.home()) + "/" not in text


def test_runs_from_top_to_bottom(tmp_path: Path, built: NotebookNode) -> None:
    execute(built, tmp_path, FAST="1")
    outputs = _outputs(built)
    assert not [each for each in outputs if each.output_type == "error"]
    assert _pictures(built) >= 7
    shown = "\n".join(each.data.get("text/markdown", "") for each in outputs if "data" in each)
    for row in ("| ours, as the project ships it ", "| ours, trained here without boxes ", "| YOLO + CLIP ",
                "| ReCLIP-style", "| ... with low-rank updates of CLIP ", "| tag: relation ", "| N-acc "):  # fmt: skip
        assert row in shown
    assert str(tmp_path) not in shown
    assert (tmp_path / "runs" / "main.pt").is_file()


def _code(notebook: NotebookNode) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def _outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]


def _pictures(notebook: NotebookNode) -> int:
    return sum("image/png" in each.get("data", ()) for each in _outputs(notebook))


def _imported(node: ast.AST) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name.split(".")[0] for alias in node.names}
    return {(node.module or "").split(".")[0]} if isinstance(node, ast.ImportFrom) else set()


def _defined(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    return [target.id for target in getattr(node, "targets", ()) if isinstance(target, ast.Name)]
