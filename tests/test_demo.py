"""`make demo` on a few images: what it leaves, and that a second run makes nothing anew."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml

import demo
from grounding import InputError, load
from grounding.data.refshapes.writer import RECIPE_FILE
from grounding.evaluation.compare import BOUNDS, EvaluateConfig
from grounding.runtime.cli import parse
from grounding.visualization import commands, report
from tests.scripts import ROOT, run_script


@pytest.fixture
def small_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder with the shipped configuration made smaller; returns the folder."""
    (tmp_path / "configs").mkdir()
    for name in (demo.CONFIG, demo.FULL_CONFIG):
        settings = yaml.safe_load((ROOT / name).read_text())
        settings["train"] |= {"epochs": 1, "subset": None, "validation_subset": None, "start_from": None,
                              "model": {"model_size": 64}, "sets_per_image": 0, "sets_split_by": None}  # fmt: skip
        (tmp_path / name).write_text(yaml.safe_dump(settings))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "FEWER_IMAGES", {"train": 4, "val": 2, "test": 4})
    return tmp_path


def test_demo(small_demo: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    demo.main()
    printed = capsys.readouterr().out
    results = json.loads((small_demo / "runs" / "demo" / "results.json").read_text())
    assert results["data"] == "data/refshapes-demo" and results["split"] == "test" and results["images"] == 4
    assert list(results["methods"]) == ["demo", "zero-shot", "gradcam", "yolo-clip", "reclip"]
    assert list(results["bounds"]) == ["random-proposal", "centred-box"]
    assert "before any training, YOLO + CLIP: Acc@0.5 0." in printed.partition("== 2/4")[0]
    assert "intervals" in results["methods"]["demo"]
    for name, result in results["methods"].items():
        row = next(line for line in printed.splitlines() if line.startswith(name + " "))
        assert f"{result['metrics']['pointing']:.3f}" in row
    for place in ("data/refshapes-demo", "runs/demo/results.json", "runs/demo/predictions", "runs/demo/report.html",
                  "runs/demo/pictures/refshapes-demo_test_demo.png",
                  "runs/demo/pictures/refshapes-demo_val_zero-shot_yolo-clip_compared.png",
                  "runs/demo/pictures/refshapes-demo_test_demo_zero-shot_gradcam_yolo-clip_reclip_compared.png",
                  ):  # fmt: skip
        assert Path(place).exists() and place in printed
    assert load("runs/demo").name == "demo"

    made = {
        path: path.stat().st_mtime_ns
        for path in small_demo.rglob("*")
        if path.suffix in (".jpg", ".jsonl", ".p", ".safetensors") and path.name != "metrics.jsonl"
    }
    monkeypatch.setattr(report, "draw_plots", lambda *_: {})  # of what a demo does, drawing takes longest by far
    for name in ("figure", "compare"):
        monkeypatch.setattr(commands, name, lambda _: [Path("left out")])
    demo.main()
    assert made == {path: path.stat().st_mtime_ns for path in made}
    again = capsys.readouterr().out
    table = [line for line in printed.splitlines() if line.startswith(("demo ", "zero-shot "))]
    assert len(table) == 2 and all(line in again for line in table)

    os.utime(small_demo / "data" / "refshapes-demo" / RECIPE_FILE)
    with pytest.raises(InputError, match=r"runs/demo/decoder\.safetensors is older than data/refshapes-demo"):
        demo.main()


def test_the_full_demo_is_of_all_of_refshapes_and_all_bounds(small_demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made(folder: Path, **counts: int) -> None:
        raise InputError(f"{folder} {counts or 'whole'}")

    monkeypatch.setattr(demo, "write_refshapes", made)
    with pytest.raises(InputError, match=r"^data/refshapes whole$"):
        demo.main(full=True)
    config = parse(EvaluateConfig, "evaluate", ["--config", demo.FULL_CONFIG])
    assert config.data == Path("data/refshapes") and config.bounds == list(BOUNDS)


def test_words_and_another_folder_start_no_demo(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert [run_script(capsys, "demo.py", word).code for word in ("--help", "runs/other")] == [0, 2]
    with pytest.raises(InputError, match="start the demo in the project's folder"):
        demo.main()
    assert not list(tmp_path.iterdir())
