"""train.py, evaluate.py and visualize.py on good input and on every kind of bad input."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.scripts import ROOT, assert_refused, run_script

Capture = pytest.CaptureFixture[str]
Refused = Callable[..., None]


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A copy of it that a test may damage."""
    shutil.copytree(made / "data", tmp_path / "data")
    shutil.copytree(made / "run", tmp_path / "run")
    return tmp_path


@pytest.fixture
def refused(tmp_path: Path, capsys: Capture) -> Refused:
    """Runs a script with words, on the CPU, which has to refuse them with fragments and make no output."""

    def refuse(*words: object, fragments: tuple[object, ...]) -> None:
        outcome = run_script(capsys, *map(str, words), "--output", tmp_path / "new", "--device", "cpu")
        assert_refused(outcome, *fragments)
        assert not (tmp_path / "new").exists()

    return refuse


@pytest.mark.parametrize(
    ("words", "shown"),
    [("evaluate.py", "evaluate.py score"), ("visualize.py", "visualize.py compare")]
    # The dataclasses' own words reach the reader.
    + [(words, "a folder or a table") for words in ("train.py", "evaluate.py compare", "evaluate.py score",
                                                    "evaluate.py runs/a", "visualize.py compare")],
)  # fmt: skip
def test_help(words: str, shown: str, capsys: Capture) -> None:
    outcome = run_script(capsys, *words.split(), "--help")
    assert outcome.code == 0 and shown in " ".join(outcome.out.split())


@pytest.mark.parametrize("name", ["demo.yaml", "refcocog.yaml"])
def test_shipped_configurations_are_accepted(name: str, tmp_path: Path, refused: Refused) -> None:
    for script in ("train.py", "evaluate.py", "visualize.py"):  # read as far as the missing data set
        words = (script, "--config", ROOT / "configs" / name, "--data", tmp_path / "none")
        refused(*words, fragments=(tmp_path / "none",))


def test_bad_questions(made: Path, tmp_path: Path, refused: Refused) -> None:
    image = next((made / "data" / "images").iterdir())
    (tmp_path / "notes.jpg").write_text("not a picture")
    for path, phrases, fragment in (
        (image, '["   "]', "empty"),
        (image, json.dumps(["red box " * 60]), "77 tokens"),
        (tmp_path / "notes.jpg", '["a box"]', "notes.jpg"),
    ):
        refused("visualize.py", made / "run", "--image", path, "--phrases", phrases, fragments=(fragment,))


@pytest.mark.parametrize("command", ["train", "evaluate", "visualize"])
def test_bad_data(command: str, place: Path, refused: Refused) -> None:
    words = [f"{command}.py", *([] if command == "train" else [place / "run"]), "--data"]
    refused(*words, place / "elsewhere", fragments=(place / "elsewhere", "download"))
    for image in (place / "data" / "images").iterdir():
        image.unlink()
    refused(*words, place / "data", fragments=("toy_",))
    (place / "data" / "annotations" / "refs(umd).p").unlink()
    refused(*words, place / "data", fragments=("refs(umd).p",))


def test_damaged_run_folders(place: Path, refused: Refused) -> None:
    def run_refused(*fragments: object) -> None:
        refused("evaluate.py", place / "run", "--data", place / "data", fragments=fragments)

    settings, decoder = place / "run" / "config.yaml", place / "run" / "decoder.safetensors"
    config = yaml.safe_load(settings.read_text())
    config["model"]["decoder"]["width"] = 32
    settings.write_text(yaml.safe_dump(config))
    run_refused(decoder, "another architecture")
    decoder.write_bytes(decoder.read_bytes()[:100])
    run_refused("decoder.safetensors", "cannot be read")
    decoder.unlink()
    run_refused("decoder.safetensors is missing", "--resume true")
    settings.write_text("model: {decoder: {depth: 3}}")
    run_refused("config.yaml is damaged")
    settings.unlink()
    run_refused("no config.yaml")


def test_a_folder_that_is_called_like_a_method(
    made: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("zero-shot", "whole-image"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    words = ["zero-shot", "whole-image", "--data", made / "data", "--device", "cpu", "--model.model_size", 64]
    assert run_script(capsys, "evaluate.py", *words, "--output", "new").code == 0
    assert run_script(capsys, "visualize.py", *words, "--count", 1, "--output", "pictures").code == 0


def test_wrong_values(made: Path, tmp_path: Path, refused: Refused) -> None:
    run, data = made / "run", ("--data", made / "data")
    for first, option, value, fragment in (
        (tmp_path / "no_run", "--split", "test", "no_run"),
        ("zero-shot", "--query", "image", "query"),
        ("yolo-clip", "--proposals.detector", "none.onnx", "none.onnx"),
        ("zero-shot", "--model.clip", "RN99", "RN99"),
        ("zero-shot", "--model.model_size", 100, "multiple of 32"),
        ("zero-shot", "--model.extraction.relative", 1.5, "extraction.relative is 1.5"),
        (run, "--images_per_batch", 0, "images_per_batch"),
        (run, "--split", "training", "training"),
        (run, "--que", "ref", "--que"),  # no abbreviations: a slip must not set something else
    ):
        refused("evaluate.py", first, option, value, *data, fragments=(fragment,))
    refused("train.py", *data, "--clip_norm", 0, fragments=("clip_norm",))
    for words in (["evaluate.py", "compare", run, "zero-shot"], ["visualize.py", "figure", run]):
        refused(*words, *data, "--model.clip", tmp_path / "other.pt",
                fragments=("model.clip is given", run / "config.yaml", "leave --model.clip out"))  # fmt: skip


def test_output_that_is_a_file(made: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "taken").write_text("mine")
    for script, first in (("evaluate.py", [made / "run"]), ("visualize.py", [made / "run"]), ("train.py", [])):
        outcome = run_script(capsys, script, *first, "--data", made / "data", "--output", tmp_path / "taken",
                             "--device", "cpu")  # fmt: skip
        assert_refused(outcome, tmp_path / "taken", "cannot be used")
    assert (tmp_path / "taken").read_text() == "mine"
