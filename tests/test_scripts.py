"""train.py, evaluate.py and visualize.py on good input and on every kind of bad input."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.scripts import assert_refused, run_script

Capture = pytest.CaptureFixture[str]
Refused = Callable[..., None]


@pytest.fixture
def refused(tmp_path: Path, capsys: Capture) -> Refused:
    """Runs a script with words, on the CPU, which has to refuse them with fragments and make no output."""

    def refuse(*words: object, fragments: tuple[object, ...]) -> None:
        outcome = run_script(capsys, *map(str, words), "--output", tmp_path / "new", "--device", "cpu")
        assert_refused(outcome, *fragments)
        assert not (tmp_path / "new").exists()

    return refuse


@pytest.mark.parametrize("words", ["train.py", "evaluate.py compare", "evaluate.py score", "evaluate.py runs/a",
                                   "visualize.py compare"])  # fmt: skip
def test_help_has_the_dataclasses_own_words(words: str, capsys: Capture) -> None:
    outcome = run_script(capsys, *words.split(), "--help")
    assert outcome.code == 0 and "a folder or a table" in " ".join(outcome.out.split())


@pytest.mark.parametrize("command", ["train", "evaluate", "visualize"])
def test_bad_data(command: str, made: Path, tmp_path: Path, refused: Refused) -> None:
    words = [f"{command}.py", *([] if command == "train" else [made / "run"]), "--data"]
    refused(*words, tmp_path / "elsewhere", fragments=(tmp_path / "elsewhere", "download"))
    data = shutil.copytree(made / "data", tmp_path / "data")
    for image in (data / "images").iterdir():
        image.unlink()
    refused(*words, data, fragments=("toy_",))


def test_damaged_run_folders(made: Path, tmp_path: Path, refused: Refused) -> None:
    run = shutil.copytree(made / "run", tmp_path / "run")

    def run_refused(*fragments: object) -> None:
        refused("evaluate.py", run, "--data", made / "data", fragments=fragments)

    settings, decoder = run / "config.yaml", run / "decoder.safetensors"
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
    for name in ("zero-shot", "yolo-clip"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    words = ["zero-shot", "yolo-clip", "--data", made / "data", "--device", "cpu", "--model.model_size", 64]
    assert run_script(capsys, "evaluate.py", *words, "--output", "new").code == 0
    assert run_script(capsys, "visualize.py", *words, "--count", 1, "--output", "pictures").code == 0


def test_wrong_values(made: Path, tmp_path: Path, refused: Refused) -> None:
    run, data = made / "run", ("--data", made / "data")
    for first, option, value, fragment in (
        (tmp_path / "no_run", "--split", "test", "no_run"),
        ("zero-shot", "--query", "image", "query"),
        ("yolo-clip", "--proposals.detector", "none.onnx", "none.onnx"),
        ("zero-shot", "--model.clip", "RN99", "RN99"),
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
