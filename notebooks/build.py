"""Builds report.ipynb from parts/ and from the package's core: `python -m notebooks.build [--execute]`.

`parts/*.md` are the report in its order. Their prose becomes Markdown cells, and what directives name, each on a line
of its own, code cells; lines that follow each other make one cell:

    <!-- source: grounding/clip/dense.py: DenseCLIP(-train), fold_projections -->
                                         functions, classes and constants of the package, with the first paragraph of
                                         their docstrings; (-NAME): without a method or a field
    <!-- code: NAME.py -->               parts/NAME.py
    <!-- imports -->                     what all cells import, of packages that pip knows
    <!-- folded -->                      the cell is folded away, also as HTML: it draws, installs, or reads a format

`{{claim: KEY}}` in prose is the value of docs/claims.json under that key, with its interval, and `![...](NAME.png)` a
picture of parts/, attached to its cell. The package itself is never imported: what a cell uses stands in a cell above.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from notebooks.sources import imports_of, names_in, selected, without_imports

ROOT = Path(__file__).resolve().parents[1]
PARTS = Path(__file__).resolve().parent / "parts"
NOTEBOOK = Path(__file__).resolve().parent / "report.ipynb"
LINE = r"<!-- (?:source|code): [^\n]+ -->|<!-- (?:imports|folded) -->"
DIRECTIVES = re.compile(rf"^((?:(?:{LINE})(?:\n|\Z))+)", re.MULTILINE)
PICTURE = re.compile(r"!\[[^\]]*\]\((?!attachment:)([^):]+\.png)\)")
CLAIM = re.compile(r"\{\{claim: ([^}]+)\}\}")
PLACEHOLDER = "# @claims@"  # in parts/*.py: what of docs/claims.json stands in tables
LADDER = {  # row of the report's ladder -> method in docs/claims.json
    "ours, as the project ships it": "refshapes",
    "ReCLIP-style rules on YOLO + CLIP": "reclip",
    "YOLO + CLIP": "yolo-clip",
    "ours without boxes, with rules and GrabCut": "refshapes-weak",
    "CLIP's own map": "zero-shot",
    "a random box of YOLO's": "random-proposal",
    "Grad-CAM": "gradcam",
    "bound: the best of YOLO's boxes": "yolo-oracle",
}
SETS = {"set accuracy": "set_accuracy", "N-acc": "n_acc", "T-acc": "t_acc", "presence, AUROC": "presence_auroc"}
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
    "colab": {"provenance": [], "toc_visible": True},
    "accelerator": "GPU",
}


def build() -> NotebookNode:
    """The notebook without outputs."""
    cells = [cell for part in sorted(PARTS.glob("*.md")) for cell in _cells(part)]
    sources = [cell.source for cell in cells if cell.cell_type == "code"]
    imports = imports_of([*sources, *map(_read, _source_files())], used=names_in("\n".join(sources)))
    for cell in cells:
        if cell.cell_type == "code":
            cell.source = imports if cell.source == IMPORTS else without_imports(cell.source)
    notebook = new_notebook(metadata=METADATA, cells=cells)
    nbformat.validate(notebook)
    return notebook


IMPORTS = "# imports"
FOLDED = "<!-- folded -->"


def _cells(part: Path) -> Iterator[NotebookNode]:
    """The cells of one part: prose and blocks of directives alternate."""
    for number, block in enumerate(DIRECTIVES.split(_read(part))):
        name = f"{part.stem}-{number}"
        if number % 2 == 0 and block.strip():
            yield _text(name, block.strip())
        elif number % 2:
            lines = block.strip().splitlines()
            metadata: dict[str, Any] = {"id": _id("code", name)}
            if FOLDED in lines:  # for Colab, for JupyterLab, for nbconvert
                metadata |= {
                    "cellView": "form",
                    "jupyter": {"source_hidden": True},
                    "transient": {"remove_source": True},
                }
            pieces = [_piece(line) for line in lines if line != FOLDED]
            yield new_code_cell("\n\n".join(pieces), id=_id("code", name), metadata=metadata)


def _text(name: str, prose: str) -> NotebookNode:
    cell = new_markdown_cell(CLAIM.sub(lambda found: claim_text(found[1]), prose), id=_id("text", name),
                             metadata={"id": _id("text", name)})  # fmt: skip
    pictures = PICTURE.findall(prose)
    if pictures:
        cell.source = PICTURE.sub(lambda found: found[0].replace(found[1], f"attachment:{found[1]}"), cell.source)
        cell.attachments = {
            each: {"image/png": base64.b64encode((PARTS / each).read_bytes()).decode()} for each in pictures
        }
    return cell


def claim_text(key: str) -> str:
    """A claim's value with three digits and its interval."""
    claims = _read_claims()
    if key not in claims:
        raise SystemExit(f"error: docs/claims.json has no claim {key!r}: correct parts/*.md, or measure it again")
    value, interval = claims[key]["value"], claims[key]["interval"]
    return f"{value:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def _piece(directive: str) -> str:
    kind, *rest = directive.removeprefix("<!-- ").removesuffix(" -->").split(": ")
    if kind == "imports":
        return IMPORTS
    if kind == "code":
        text = _read(PARTS / rest[0]).strip()
        return text.replace(PLACEHOLDER, _claims()) if PLACEHOLDER in text else text
    return selected(ROOT / rest[0], rest[1])


def _source_files() -> list[Path]:
    """The files of the package that parts/*.md take something of."""
    found = re.findall(r"<!-- source: ([^:\n]+):", "\n".join(_read(part) for part in PARTS.glob("*.md")))
    return [ROOT / each for each in sorted(set(found))]


def _claims() -> str:
    """Acc@0.5 of the ladder of docs/claims.json, by the rows' names, and our decoder on sets."""
    entries = [f'"{name}": "{claim_text(f"ladder/{method} acc@0.5")}"' for name, method in LADDER.items()]
    rows = [f"    {', '.join(entries[index : index + 2])}," for index in range(0, len(entries), 2)]
    sets = ", ".join(
        f'"{name}": "{_read_claims()[f"sets/refshapes {key}"]["value"]:.3f}"' for name, key in SETS.items()
    )
    return "\n".join(["DOCS = {", *rows, "}", f"SET_DOCS = {{{sets}}}"])


def _read_claims() -> dict[str, dict[str, Any]]:
    claims: dict[str, dict[str, Any]] = json.loads(_read(ROOT / "docs/claims.json"))
    return claims


def _id(kind: str, name: str) -> str:
    return f"{kind}-{re.sub('[^a-zA-Z0-9]+', '-', name)}"[:64].strip("-")


def execute(notebook: NotebookNode, folder: Path, **settings: str) -> None:
    """Run every cell in `folder`, offline unless `settings` say otherwise, and keep what the cells put out."""
    given = {"MODE": "refshapes", "REPOSITORY": str(ROOT), **settings}
    environment = os.environ | {f"NOTEBOOK_{name}": value for name, value in given.items()}
    client = NotebookClient(notebook, timeout=None, kernel_name="python3", record_timing=False, coalesce_streams=True,
                            resources={"metadata": {"path": str(folder)}})  # fmt: skip
    client.execute(env=environment)
    notebook.metadata = nbformat.from_dict(METADATA)  # without the version of this machine's Python
    for cell in notebook.cells:
        if cell.cell_type == "code":
            # Progress bars and libraries' warnings, with paths of this machine in them.
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]


def lines_of_code(notebook: NotebookNode) -> int:
    """All lines of all code cells, comments, docstrings and blank lines included."""
    return sum(len(cell.source.splitlines()) for cell in notebook.cells if cell.cell_type == "code")


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m notebooks.build", description="Build notebooks/report.ipynb.")
    parser.add_argument("--execute", action="store_true", help="also run it (offline; its last cell says how long)")
    parser.add_argument("--keep-outputs", action="store_true",
                        help="take over the outputs of cells that have not changed")  # fmt: skip
    options = parser.parse_args()
    notebook = build()
    if options.execute:
        with tempfile.TemporaryDirectory() as folder:
            execute(notebook, Path(folder))
    elif options.keep_outputs and NOTEBOOK.is_file():
        before = {cell.source: cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
        for number, cell in enumerate((each for each in notebook.cells if each.cell_type == "code"), start=1):
            if cell.source in before:
                cell.outputs, cell.execution_count = before[cell.source].outputs, number
    unfinished = NOTEBOOK.with_suffix(".part")
    nbformat.write(notebook, unfinished)
    unfinished.replace(NOTEBOOK)
    cells = sum(cell.cell_type == "code" for cell in notebook.cells)
    print(f"{NOTEBOOK.name}: {lines_of_code(notebook)} lines in {cells} cells, "
          f"{NOTEBOOK.stat().st_size / 2**20:.1f} MB", file=sys.stderr)  # fmt: skip


if __name__ == "__main__":
    main()
