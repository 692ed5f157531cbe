"""The report notebook: it holds the package as it is, and runs from top to bottom wherever it lies."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode

from notebooks.build import NOTEBOOK, ROOT, build, execute, needed_files


@pytest.fixture(scope="module")
def executed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NotebookNode]:
    """The notebook under a name of a student's, executed with a few images, and the folder that it lay in."""
    folder = tmp_path_factory.mktemp("student")
    path = folder / "123456_654321.ipynb"
    path.write_bytes(NOTEBOOK.read_bytes())
    notebook = nbformat.read(path, as_version=4)
    execute(notebook, folder, FAST="1")
    return folder, notebook


@pytest.fixture(scope="module")
def built() -> NotebookNode:
    return build()


def test_holds_the_package_as_it_is(built: NotebookNode) -> None:
    committed = nbformat.read(NOTEBOOK, as_version=4)
    remedy = "the package or notebooks/parts has changed: run python notebooks/build.py --execute"
    assert [(cell.id, cell.source) for cell in committed.cells] == [(cell.id, cell.source) for cell in built.cells], (
        remedy
    )
    nbformat.validate(committed)


def test_looks_the_same_when_built_again(built: NotebookNode) -> None:
    ids = [cell.id for cell in built.cells]
    assert ids == [cell.id for cell in build().cells] and len(set(ids)) == len(ids)


def test_committed_outputs_are_clean() -> None:
    text = NOTEBOOK.read_text()
    assert len(text) < 3 * 2**20
    assert str(ROOT) not in text and str(Path.home()) + "/" not in text
    outputs = _outputs(nbformat.read(NOTEBOOK, as_version=4))
    assert not [each for each in outputs if each.output_type == "error" or each.get("name") == "stderr"]


def test_runs_from_top_to_bottom(executed: tuple[Path, NotebookNode]) -> None:
    folder, notebook = executed
    outputs = _outputs(notebook)
    assert not [each for each in outputs if each.output_type == "error"]
    pictures = [each for each in outputs if {"image/png", "image/jpeg"} & set(each.get("data", ()))]
    assert len(pictures) >= 12
    shown = "\n".join(each.data.get("text/markdown", "") for each in outputs if "data" in each)
    for row in ("| main ", "| zero-shot ", "| gradcam ", "| yolo-clip ", "| reclip ", "| yolo-oracle ", "| masks only ",
                "| adapters, no box ", "### 7.3 Weaknesses"):  # fmt: skip
        assert row in shown
    assert (folder / "work" / "runs" / "main" / "decoder.safetensors").is_file()
    assert str(folder) not in shown


def test_what_it_writes_is_the_package(executed: tuple[Path, NotebookNode]) -> None:
    folder, _ = executed
    for name in needed_files():
        assert (folder / "work" / name).read_text() == (ROOT / name).read_text(), name


def _outputs(notebook: NotebookNode) -> list[NotebookNode]:
    return [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
