"""What train.py was told reaches the other commands by the run's folder alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml

from grounding import InputError
from grounding.deployment.bulk import BulkConfig
from grounding.evaluation.compare import EvaluateConfig
from grounding.evaluation.compare_sets import SetsConfig
from grounding.runtime.cli import parse
from grounding.training.pseudo_boxes import PseudoBoxesConfig
from grounding.training.tune_extraction import TuneExtractionConfig
from grounding.visualization.commands import VisualizeConfig
from grounding.webapp.serving import ServeConfig

RUN = "runs/x"


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """The configuration of a run in runs/x on data in here/data, as train.py leaves it."""
    monkeypatch.chdir(tmp_path)
    Path("here/data").mkdir(parents=True)
    Path(RUN).mkdir(parents=True)
    config: dict[str, object] = {"data": "here/data", "output": RUN, "split_by": "google", "validation_data": None}
    Path(RUN, "config.yaml").write_text(yaml.safe_dump(config))
    return config


def compared(*words: str) -> EvaluateConfig:
    return parse(EvaluateConfig, "evaluate", words, positional="methods", command="compare")


def test_data_and_output() -> None:
    config = compared(RUN, "zero-shot")
    assert (config.data, config.split_by, config.output) == (Path("here/data"), "google", Path("runs/x/test"))
    assert compared("zero-shot", RUN, "--split", "val").output == Path("runs/x/val")
    other = compared(RUN, "--data", "other")
    assert (other.data, other.split_by) == (Path("other"), "umd"), "of other data the run says nothing"
    chosen = parse(TuneExtractionConfig, "train", [RUN], positional="run", command="extraction")
    assert (chosen.data, chosen.split_by) == (Path("here/data"), None), "which stands for the run's own"
    boxes = parse(PseudoBoxesConfig, "train", [RUN], positional="run", command="pseudo_boxes")
    assert (boxes.data, boxes.split_by) == (Path("here/data"), "google")
    sets = parse(SetsConfig, "evaluate", [RUN], positional="methods", command="sets")
    assert (sets.data, sets.split_by, sets.output) == (Path("here/data"), "unc", Path("runs/x/sets"))
    asked = parse(VisualizeConfig, "visualize", [RUN, "--image", "a.jpg", "--output", "p"], positional="methods")
    assert asked.data is None and asked.output == Path("p")
    served = parse(ServeConfig, "visualize", [RUN], positional="run", command="serve")
    assert (served.data, served.split_by) == (Path("here/data"), "google")
    os.rename("here", "away")
    assert parse(ServeConfig, "visualize", [RUN], positional="run").data is None, "examples are drawn"


def test_validation_data(run: dict[str, object]) -> None:
    Path(RUN, "config.yaml").write_text(yaml.safe_dump({**run, "validation_data": "other"}))
    assert compared(RUN).data == Path("other")
    assert parse(PseudoBoxesConfig, "train", [RUN], positional="run").data == Path("here/data"), "of training"


def test_the_command_line_goes_before_the_section_and_this_before_the_run() -> None:
    Path("own.yaml").write_text(
        f"evaluate: {{methods: [{RUN}], data: b, output: c}}\nvisualize: {{methods: [{RUN}]}}\n"
    )
    config = compared("--config", "own.yaml")
    assert (config.methods, config.data, config.split_by, config.output) == ([RUN], Path("b"), "umd", Path("c"))
    config = compared("--config", "own.yaml", "--data", "d", "--output", "o", "--split_by", "unc")
    assert (config.data, config.split_by, config.output) == (Path("d"), "unc", Path("o"))
    drawn = parse(VisualizeConfig, "visualize", ["--config", "own.yaml"], positional="methods")
    assert (drawn.data, drawn.output) == (Path("here/data"), Path("runs/x/pictures"))


def test_where_no_run_says_it_it_has_to_be_given() -> None:
    with pytest.raises(InputError, match="output"):  # of a file of answers the run says nothing
        parse(BulkConfig, "-m grounding.deployment.bulk", ["--method", RUN, "--requests", "r.jsonl"], section="bulk")
    for words in (["zero-shot"], ["[x]"], ["[1]"]):
        with pytest.raises(InputError, match="data"):
            compared(*words, "--output", "c")
    for content in ("", "{}", "- a", "data: [1", "data: null"):
        Path(RUN, "config.yaml").write_text(content)
        with pytest.raises(InputError, match="data"):
            compared(RUN)
