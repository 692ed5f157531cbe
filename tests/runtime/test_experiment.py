"""What train.py was told reaches the other commands: by the run's folder alone, or by a configuration and --output."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from grounding import InputError
from grounding.deployment.bulk import BulkConfig
from grounding.evaluation.compare_sets import SetsConfig
from grounding.evaluation.config import EvaluateConfig
from grounding.runtime.cli import parse
from grounding.training.config import TrainConfig
from grounding.training.pseudo_boxes import PseudoBoxesConfig
from grounding.training.tune_extraction import TuneExtractionConfig
from grounding.visualization.commands import VisualizeConfig
from grounding.visualization.curves import CurvesConfig
from grounding.visualization.gallery import GalleryConfig
from grounding.webapp.serving import ServeConfig
from tests.scripts import ROOT

CONFIG = ["--config", str(ROOT / "configs" / "refcocog.yaml")]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run in runs/x on data in elsewhere/data, as train.py leaves its configuration."""
    monkeypatch.chdir(tmp_path)
    Path("elsewhere/data").mkdir(parents=True)
    given = ["--output", "runs/x", "--data", "elsewhere/data", "--split_by", "google"]
    config = parse(TrainConfig, "train", [*CONFIG, *given])
    assert (str(config.output), str(config.data), config.model.clip) == ("runs/x", "elsewhere/data", "RN50")
    Path("runs/x").mkdir(parents=True)
    Path("runs/x/config.yaml").write_text(
        yaml.safe_dump({"data": str(config.data), "output": "runs/x", "split_by": "google", "validation_data": None})
    )
    return "runs/x"


def compared(*words: str) -> EvaluateConfig:
    return parse(EvaluateConfig, "evaluate", words, positional="methods", command="compare")


def test_a_run_is_enough(run: str) -> None:
    config = compared(run, "zero-shot")
    assert (config.data, config.split_by, config.output) == (Path("elsewhere/data"), "google", Path("runs/x/test"))
    assert compared("zero-shot", run, "--split", "val").output == Path("runs/x/val")
    assert compared("--methods", f'["{run}"]', "--output", "out").output == Path("out")
    other = compared(run, "--data", "other")
    assert (other.data, other.split_by) == (Path("other"), "umd"), "of other data the run says nothing"
    chosen = parse(TuneExtractionConfig, "train", [run], positional="run", command="extraction", section="extraction")
    assert chosen.data == Path("elsewhere/data") and chosen.split_by is None  # the run's own
    boxes = parse(PseudoBoxesConfig, "train", [run], positional="run", command="pseudo_boxes")
    assert (boxes.data, boxes.split_by) == (Path("elsewhere/data"), "google")
    sets = parse(SetsConfig, "evaluate", [run], positional="methods", command="sets")
    assert (sets.data, sets.split_by, sets.output) == (Path("elsewhere/data"), "unc", Path("runs/x/sets"))
    drawn = parse(VisualizeConfig, "visualize", [run], positional="methods", command="compare")
    assert (drawn.data, drawn.split_by, drawn.output) == (Path("elsewhere/data"), "google", Path("runs/x/pictures"))
    asked = parse(VisualizeConfig, "visualize", [run, "--image", "a.jpg", "--output", "p"], positional="methods")
    assert asked.data is None and asked.output == Path("p")
    served = parse(ServeConfig, "visualize", [run], positional="run", command="serve", section="serve")
    assert served.data == Path("elsewhere/data") and served.split_by == "google"
    os.rename("elsewhere", "away")
    assert parse(ServeConfig, "visualize", [run], positional="run", section="serve").data is None, "examples are drawn"


@pytest.mark.parametrize("output", [["--output", "runs/x"], ["--output=runs/x"]])
def test_a_configuration_goes_where_output_says(run: str, output: list[str]) -> None:
    config = compared(*CONFIG, *output)
    assert config.methods == [run, "zero-shot", "gradcam", "yolo-clip", "reclip"]
    assert (config.data, config.split_by, config.output) == (Path("elsewhere/data"), "google", Path("runs/x/test"))
    assert config.proposals.detector == "yolov5nu.pt" and config.workers == 4
    chosen = parse(TuneExtractionConfig, "train", [*CONFIG, *output], positional="run", command="extraction",
                   section="extraction", optional=True)  # fmt: skip
    assert (chosen.run, chosen.data) == (Path(run), Path("elsewhere/data"))
    served = parse(ServeConfig, "visualize", [*CONFIG, *output], positional="run", command="serve", section="serve")
    assert (served.run, served.data, served.split_by) == (run, Path("elsewhere/data"), "google")
    drawn = parse(VisualizeConfig, "visualize", [*CONFIG, *output], positional="methods")
    assert (drawn.methods, drawn.data, drawn.output) == ([run], Path("elsewhere/data"), Path("runs/x/pictures"))
    gallery = parse(GalleryConfig, "visualize", [*CONFIG, *output], positional="comparison", section="gallery")
    assert (gallery.comparison, gallery.output, gallery.method) == (Path("runs/x/test"), None, None)
    curves = parse(CurvesConfig, "visualize", [*CONFIG, *output], positional="runs", section="curves")
    assert curves.runs == [Path(run)]


def test_the_command_line_and_the_section_go_first(run: str, tmp_path: Path) -> None:
    config = compared(*CONFIG, "--output", run, "--data", "other", "--split_by", "umd")
    assert (config.data, config.split_by) == (Path("other"), "umd")
    assert compared(run, "gradcam", *CONFIG, "--output", "out").output == Path("out"), "no run lies there"
    path = tmp_path / "own.yaml"
    path.write_text("train: {data: a, output: runs/y}\nevaluate: {methods: [zero-shot], data: b, output: c}\n")
    own = compared("--config", str(path))
    assert (own.methods, own.data, own.output) == (["zero-shot"], Path("b"), Path("c"))
    path.write_text("train: {data: a, validation_data: v, output: runs/y}\nevaluate: {output: c}\nbulk: {}\n")
    left_out = compared("--config", str(path))
    assert (left_out.methods, left_out.data) == (["runs/y"], Path("v")), "as the training has it"
    bulk = parse(BulkConfig, "-m grounding.deployment.bulk",
                 ["--config", str(path), "--requests", "r.jsonl", "--output", "o.jsonl"], section="bulk")  # fmt: skip
    assert bulk.method == "runs/y"
    path.write_text("train: {data: a, split_by: google, output: r}\nevaluate: {data: a, split_by: google, output: c}\n")
    assert compared("--config", str(path), "--data", "d").split_by == "google"
    with pytest.raises(InputError, match="output"):  # of a file of answers the run says nothing
        parse(BulkConfig, "-m grounding.deployment.bulk", ["--method", run, "--requests", "r.jsonl"], section="bulk")
    with pytest.raises(InputError, match="data"):
        compared("zero-shot", "--output", "c")
