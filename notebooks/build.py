"""Builds report.ipynb from parts/ and from the package itself: `python notebooks/build.py [--execute]`.

`parts/*.md` are the report in its order. Their prose becomes Markdown cells, and a directive on a line of its own a
code cell:

    <!-- code: NAME.py -->               parts/NAME.py
    <!-- folded: NAME.py -->             the same, folded away: of a figure, its picture is what matters
    <!-- file: grounding/NAME.py -->     a file of the package, written by the cell to the notebook's working folder
    <!-- supporting -->                  whatever else the notebook needs of the package, folded away: what parts/*.py
                                         import, what that imports in turn, and the text files that it names
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from pprint import pformat
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

ROOT = Path(__file__).resolve().parents[1]
PARTS = Path(__file__).resolve().parent / "parts"
NOTEBOOK = Path(__file__).resolve().parent / "report.ipynb"
PACKAGE = "grounding"
DIRECTIVE = re.compile(r"^<!-- (code|folded|file|supporting)(?:: (\S+))? -->$", re.MULTILINE)
PLACEHOLDER = re.compile(r'"@(\w+)@"')  # in parts/*.py, for what only the builder knows
COLABS_OWN = {"torch", "torchvision"}  # built for its GPUs: never replaced
UNSEEN = {"setuptools"}  # needed by a package that does not say so
SUPPORTING = "40-supporting"  # the part whose cells are folded away under its heading
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
    "colab": {"provenance": [], "toc_visible": True, "collapsed_sections": [f"text-{SUPPORTING}-0"]},
    "accelerator": "GPU",
}


def build() -> NotebookNode:
    """The notebook without outputs."""
    needed = needed_files()
    parts = sorted(PARTS.glob("*.md"))
    explained = {name for part in parts for kind, name in DIRECTIVE.findall(_read(part)) if kind == "file"}
    if strange := {name for name in explained if name.startswith(PACKAGE)} - set(needed):
        raise SystemExit(f"error: nothing in the notebook uses {', '.join(sorted(strange))}: take it out of parts/")
    supporting = [name for name in needed if name not in explained and _read(ROOT / name)]
    known = {
        "folders": sorted({str(Path(name).parent) for name in (*needed, *explained)}),
        "empty": [name for name in needed if not _read(ROOT / name)],
        "requirements": requirements(needed),
        "detector_requirement": requirement_lines("requirements-yolo.txt")["ultralytics-opencv-headless"],
    }
    as_code = {name: pformat(value, width=110, compact=True) for name, value in known.items()}
    cells = [cell for part in parts for cell in _cells(part, supporting, as_code)]
    notebook = new_notebook(metadata=METADATA, cells=cells)
    nbformat.validate(notebook)
    return notebook


def _cells(part: Path, supporting: list[str], known: dict[str, str]) -> Iterator[NotebookNode]:
    """The cells of one part; prose, kind and name of a directive alternate in what `re.split` gives."""
    prose, *rest = DIRECTIVE.split(_read(part))
    yield from _text(f"{part.stem}-0", prose)
    for number, (kind, name, after) in enumerate(zip(*[iter(rest)] * 3, strict=True), start=1):
        if kind in ("code", "folded"):
            source = PLACEHOLDER.sub(lambda found: known[found[1]], _read(PARTS / name))
            yield _code(Path(name).stem, source.removesuffix("\n"), hidden=kind == "folded")
        elif kind == "file":
            yield _file(name)
        else:
            yield from (_file(each, hidden=True) for each in supporting)
        yield from _text(f"{part.stem}-{number}", after)


def _text(name: str, prose: str) -> Iterator[NotebookNode]:
    if prose.strip():
        metadata: dict[str, Any] = {"id": _id("text", name)}
        if name == f"{SUPPORTING}-0":
            metadata["jp-MarkdownHeadingCollapsed"] = True
        yield new_markdown_cell(prose.strip(), id=metadata["id"], metadata=metadata)


def _file(name: str, *, hidden: bool = False) -> NotebookNode:
    return _code(name, f"%%writefile {name}\n{_read(ROOT / name)}".removesuffix("\n"), hidden=hidden)


def _code(name: str, source: str, *, hidden: bool = False) -> NotebookNode:
    metadata: dict[str, Any] = {"id": _id("code", name)}
    if hidden:  # the first is Colab's word for it, the second JupyterLab's
        metadata |= {"cellView": "form", "jupyter": {"source_hidden": True}}
    return new_code_cell(source, id=metadata["id"], metadata=metadata)


def _id(kind: str, name: str) -> str:
    return f"{kind}-{re.sub('[^a-zA-Z0-9]+', '-', name)}"[:64].strip("-")


def needed_files() -> list[str]:
    """What the notebook needs of the package, as paths from the root: modules, and text files that these name."""
    waiting = list(PARTS.glob("*.py"))
    needed: set[Path] = set()
    while waiting:
        tree = ast.parse(_read(waiting.pop()))
        found = {path for module in _imported(tree) for path in _files_of(module)} - needed
        needed |= found
        waiting += found
    texts = {
        path.with_name(node.value)
        for path in needed
        for node in ast.walk(ast.parse(_read(path)))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.endswith((".html", ".md"))
    }
    needed |= {path for path in texts if path.is_file()}
    needed |= {template for path in needed for template in path.parent.glob("templates/*.html")}
    return sorted(str(path.relative_to(ROOT).as_posix()) for path in needed)


def _imported(tree: ast.Module) -> set[str]:
    """Every module that may be imported; of `from a import b`, both a and a.b, since b may be one."""
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            modules.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
    return modules


def _files_of(module: str) -> Iterator[Path]:
    """The files that an import of the package's module runs: its own, and those of the packages around it."""
    words = module.split(".")
    if words[0] != PACKAGE:
        return
    for count in range(1, len(words) + 1):
        place = ROOT.joinpath(*words[:count])
        yield from (path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file())


def requirements(files: list[str]) -> list[str]:
    """The lines of requirements.txt that these modules import, without what Colab must keep."""
    sources = [*PARTS.glob("*.py"), *(ROOT / name for name in files if name.endswith(".py"))]
    imported = {module.split(".")[0] for path in sources for module in _imported(ast.parse(_read(path)))}
    providers = packages_distributions()
    names = {dist.lower() for module in imported for dist in providers.get(module, ())} | UNSEEN
    return [line for name, line in requirement_lines("requirements.txt").items() if name in names - COLABS_OWN]


def requirement_lines(file: str) -> dict[str, str]:
    """Package -> its line of a requirements file, without the comment."""
    lines = (line.split("#")[0].strip() for line in _read(ROOT / file).splitlines())
    return {re.split(r"[^\w.-]", line)[0].lower(): line for line in lines if line and not line.startswith("-")}


def execute(notebook: NotebookNode, folder: Path, **settings: str) -> None:
    """Run every cell in `folder`, in offline mode unless `settings` say otherwise, and keep what the cells put out."""
    given = {"MODE": "offline", "REPOSITORY": str(ROOT), "WORK": str(folder / "work"), **settings}
    environment = os.environ | {f"GROUNDING_NOTEBOOK_{name}": value for name, value in given.items()}
    client = NotebookClient(notebook, timeout=None, kernel_name="python3", record_timing=False, coalesce_streams=True,
                            resources={"metadata": {"path": str(folder)}})  # fmt: skip
    client.execute(env=environment)
    notebook.metadata = nbformat.from_dict(METADATA)  # without the version of this machine's Python
    for cell in notebook.cells:
        if cell.cell_type == "code":
            # Progress bars and libraries' warnings, with paths of this machine in them.
            cell.outputs = [output for output in cell.outputs if output.get("name") != "stderr"]


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python notebooks/build.py", description="Build notebooks/report.ipynb.")
    parser.add_argument("--execute", action="store_true", help="also run it (offline; docs/install.md says how long)")
    parser.add_argument("--keep-outputs", action="store_true",
                        help="take over the outputs of cells that have not changed")  # fmt: skip
    options = parser.parse_args()
    notebook = build()
    if options.execute:
        with tempfile.TemporaryDirectory() as folder:
            execute(notebook, Path(folder))
    elif options.keep_outputs and NOTEBOOK.is_file():
        before = {cell.id: cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
        for cell in notebook.cells:
            if cell.cell_type == "code" and cell.id in before and cell.source == before[cell.id].source:
                cell.outputs, cell.execution_count = before[cell.id].outputs, before[cell.id].execution_count
    unfinished = NOTEBOOK.with_suffix(".part")
    nbformat.write(notebook, unfinished)
    unfinished.replace(NOTEBOOK)
    print(f"{NOTEBOOK.name}: {len(notebook.cells)} cells, {NOTEBOOK.stat().st_size / 2**20:.1f} MB", file=sys.stderr)


if __name__ == "__main__":
    main()
