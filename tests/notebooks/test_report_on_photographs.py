"""The report in its other mode: RefCOCOg's own files, weights as OpenAI and YOLOX publish them."""

from __future__ import annotations

import shutil
from pathlib import Path

from notebooks.build import ROOT, build, execute
from tests.shared_data import SHARED_DATA, needs_shared_data
from tests.tiny_clip import save_tiny_clip


@needs_shared_data("refcocog-mini")
def test_runs_on_real_files_in_a_folder_with_spaces(tmp_path: Path) -> None:
    drive = tmp_path / "My Drive" / "visual grounding"
    shutil.copytree(SHARED_DATA / "refcocog-mini", drive)
    drive.chmod(0o755)
    (drive / "runs").mkdir()
    shutil.copy(ROOT / "grounding/weights/embedded_yolox.onnx", drive / "runs" / "yolox_s.onnx")
    clip = save_tiny_clip(tmp_path / "RN50.pt")
    notebook = build()
    execute(notebook, tmp_path, MODE="refcocog", FAST="1", DRIVE=str(drive), RN50=str(clip), REPOSITORY="")
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert not [each for each in outputs if each.output_type == "error"]
    shown = "\n".join(each.data.get("text/markdown", "") for each in outputs if "data" in each)
    assert "| ours, trained here with boxes " in shown and "from the docs" in shown
    assert "project ships" not in shown  # its decoder knows shapes only
    assert (drive / "runs" / "main.pt").is_file()
