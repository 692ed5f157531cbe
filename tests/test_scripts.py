"""train.py, evaluate.py and visualize.py on good input and on every kind of bad input."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.scripts import ROOT, assert_refused, run_script

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    shutil.copytree(made / "data", tmp_path / "data")
    shutil.copytree(made / "run", tmp_path / "run")
    return tmp_path


def test_train_evaluate_visualize_share_a_configuration(made: Path, tmp_path: Path, capsys: Capture) -> None:
    model = {"clip": str(made / "clip.pt"), "model_size": 64, "decoder": {"width": 16, "blocks": 1}}
    common = {"data": str(made / "data"), "device": "cpu"}
    settings = {
        "train": {**common, "output": str(tmp_path / "run"), "epochs": 5, "model": model},
        "evaluate": {**common, "methods": [str(tmp_path / "run"), "zero-shot"], "output": str(tmp_path / "out")},
        "visualize": {**common, "methods": [str(tmp_path / "run")], "output": str(tmp_path / "out"), "count": 2},
    }
    file = tmp_path / "experiment.yaml"
    file.write_text(yaml.safe_dump(settings))

    trained = run_script(capsys, "train.py", "--config", file, "--epochs", 1)
    assert trained.code == 0, trained
    assert "Acc@0.5" in trained.out
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["epochs"] == 1
    evaluated = run_script(capsys, "evaluate.py", "--config", file)
    assert evaluated.code == 0, evaluated
    assert list(json.loads((tmp_path / "out" / "results.json").read_text())["methods"]) == ["run", "zero-shot"]
    drawn = run_script(capsys, "visualize.py", "--config", file)
    assert drawn.code == 0, drawn
    assert Image.open(drawn.out.strip().splitlines()[-1]).size[0] > 300


@pytest.mark.parametrize(
    "words", ["train.py", "evaluate.py compare", "evaluate.py score", "evaluate.py runs/a", "visualize.py compare"]
)
def test_help(words: str, capsys: Capture) -> None:
    outcome = run_script(capsys, *words.split(), "--help")
    assert outcome.code == 0
    assert "a folder or a table" in " ".join(outcome.out.split())  # the dataclass's own words reach the reader


def test_help_of_all_commands(capsys: Capture) -> None:
    outcome = run_script(capsys, "evaluate.py", "--help")
    assert outcome.code == 0 and "evaluate.py compare" in outcome.out and "evaluate.py score" in outcome.out


def test_bad_questions(made: Path, tmp_path: Path, capsys: Capture) -> None:
    image = next((made / "data" / "images").iterdir())
    (tmp_path / "notes.jpg").write_text("not a picture")
    for path, phrases, fragment in (
        (image, '["   "]', "empty"),
        (image, json.dumps(["red box " * 60]), "77 tokens"),
        (image, "[]", "--phrases"),
        (tmp_path / "notes.jpg", '["a box"]', "notes.jpg"),
        (tmp_path / "gone.jpg", '["a box"]', "gone.jpg"),
    ):
        outcome = run_script(capsys, "visualize.py", made / "run", "--image", path, "--phrases", phrases,
                             "--output", tmp_path / "new")  # fmt: skip
        assert_refused(outcome, fragment)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("name", ["demo.yaml", "refcocog.yaml"])
def test_shipped_configurations_are_accepted(name: str, made: Path, tmp_path: Path, capsys: Capture) -> None:
    for script in ("train", "evaluate", "visualize"):
        outcome = run_script(capsys, f"{script}.py", "--config", ROOT / "configs" / name, "--data", tmp_path / "none",
                             "--output", tmp_path / "out")  # fmt: skip
        assert_refused(outcome, tmp_path / "none")  # read as far as the missing data set


def test_one_image(made: Path, tmp_path: Path, capsys: Capture) -> None:
    image = next((made / "data" / "images").iterdir())
    phrases = '["the red box", "the blue box"]'
    outcome = run_script(capsys, "visualize.py", made / "run", "--image", image, "--phrases", phrases,
                         "--output", tmp_path, "--device", "cpu")  # fmt: skip
    assert outcome.code == 0, outcome
    assert Image.open(tmp_path / f"{image.stem}_run.png").size[0] > 300


@pytest.mark.parametrize("command", ["train", "evaluate", "visualize"])
def test_bad_data(command: str, place: Path, capsys: Capture) -> None:
    def refused(data: Path, *fragments: object) -> None:
        first = [] if command == "train" else [place / "run"]
        outcome = run_script(
            capsys, f"{command}.py", *first, "--data", data, "--output", place / "new", "--device", "cpu"
        )
        assert_refused(outcome, *fragments)
        assert not (place / "new").exists()

    refused(place / "elsewhere", place / "elsewhere", "download")
    for image in (place / "data" / "images").iterdir():
        image.unlink()
    refused(place / "data", "toy_")
    (place / "data" / "annotations" / "refs(umd).p").unlink()
    refused(place / "data", "refs(umd).p")


def test_damaged_run_folders(place: Path, capsys: Capture) -> None:
    def refused(*fragments: object) -> None:
        outcome = run_script(capsys, "evaluate.py", place / "run", "--data", place / "data", "--output", place / "new")
        assert_refused(outcome, *fragments)
        assert not (place / "new").exists()

    config = yaml.safe_load((place / "run" / "config.yaml").read_text())
    config["model"]["decoder"]["width"] = 32
    (place / "run" / "config.yaml").write_text(yaml.safe_dump(config))
    refused(place / "run" / "decoder.safetensors", "another architecture")
    whole = (place / "run" / "decoder.safetensors").read_bytes()
    (place / "run" / "decoder.safetensors").write_bytes(whole[:100])
    refused("decoder.safetensors", "cannot be read")
    (place / "run" / "decoder.safetensors").unlink()
    refused("decoder.safetensors is missing", "--resume true")
    (place / "run" / "config.yaml").write_text("model: {decoder: {depth: 3}}")
    refused("config.yaml is damaged")
    (place / "run" / "config.yaml").unlink()
    refused("no config.yaml")


def test_a_folder_that_is_called_like_a_method(
    made: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("zero-shot", "whole-image"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    words = ["zero-shot", "whole-image", "--data", made / "data", "--device", "cpu", "--model.model_size", 64]
    assert run_script(capsys, "evaluate.py", *words, "--output", "new").code == 0
    assert run_script(capsys, "visualize.py", *words, "--count", 1, "--output", "pictures").code == 0


def test_wrong_names(made: Path, tmp_path: Path, capsys: Capture) -> None:
    def refused(*arguments: object, fragment: str) -> None:
        outcome = run_script(capsys, "evaluate.py", *arguments, "--data", made / "data", "--output", tmp_path / "new")
        assert_refused(outcome, fragment)
        assert not (tmp_path / "new").exists()

    refused(tmp_path / "no_run", fragment="no_run")
    refused("zero-shot", "--query", "image", fragment="query")
    refused("yolo-clip", "--proposals.detector", "none.onnx", fragment="none.onnx")
    refused("zero-shot", "--model.clip", "RN99", fragment="RN99")
    refused("zero-shot", "--model.model_size", "100", fragment="multiple of 32")
    refused("zero-shot", "--model.extraction.relative", "1.5", fragment="extraction.relative is 1.5")
    refused(made / "run", "--images_per_batch", "0", fragment="images_per_batch")
    refused(made / "run", "--split", "training", fragment="training")
    refused(made / "run", "--que", "ref", fragment="--que")  # no abbreviations: a slip must not set something else
    refused(made / "run", "--device", "gpu7", fragment="gpu7")
    outcome = run_script(capsys, "train.py", "--data", made / "data", "--output", tmp_path / "new", "--clip_norm", 0)
    assert_refused(outcome, "clip_norm")


def test_output_that_is_a_file(made: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "taken").write_text("mine")
    for script, first in (("evaluate.py", [made / "run"]), ("visualize.py", [made / "run"]), ("train.py", [])):
        outcome = run_script(capsys, script, *first, "--data", made / "data", "--output", tmp_path / "taken",
                             "--device", "cpu")  # fmt: skip
        assert_refused(outcome, tmp_path / "taken", "cannot be used")
    assert (tmp_path / "taken").read_text() == "mine"


def test_a_model_beside_a_run_that_has_another_is_refused(place: Path, capsys: Capture) -> None:
    for words in (
        ["evaluate.py", "compare", place / "run", "zero-shot"],
        ["visualize.py", "figure", place / "run"],
    ):
        outcome = run_script(capsys, *words, "--data", place / "data", "--output", place / "out", "--model.clip",
                             place / "other.pt", "--device", "cpu")  # fmt: skip
        assert_refused(outcome, "model.clip is given", place / "run" / "config.yaml", "leave --model.clip out")
