"""`python -m grounding`: from a picture or a folder and phrases to boxes, on the screen and in a file."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from PIL import Image

from grounding import load
from grounding.deployment.ground import COLUMNS
from grounding.methods import stream
from tests.clip.saved_clip import save_archive
from tests.scripts import Outcome, assert_refused, run_script
from tests.tiny_clip import save_tiny_clip

HOSTILE = '["the red circle", 26]'


@pytest.fixture(scope="module")
def clip_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_clip(tmp_path_factory.mktemp("clips") / "RN50.pt")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Three pictures, one of them called as YAML's comments begin, beside what is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for index, name in enumerate(("# 1.jpg", "b.png", "c.png")):
        pixels = np.random.default_rng(index).integers(0, 256, (40, 50 + index, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / name)
    (folder / "notes.txt").write_text("no picture")
    return folder


def run(capsys: pytest.CaptureFixture[str], *words: object) -> Outcome:
    """`python -m grounding WORDS...` in this process."""
    return run_script(capsys, "grounding", *words)


def test_a_picture_and_phrases_as_plain_words(capsys, clip_file, photos, tmp_path):
    picture = photos / "# 1.jpg"
    outcome = run(capsys, picture, HOSTILE, "-o", tmp_path / "boxes.csv", "a dog", "--model", clip_file)
    assert outcome.code == 0, outcome
    rows = list(csv.DictReader((tmp_path / "boxes.csv").open(encoding="utf-8", newline="")))
    assert list(rows[0]) == list(COLUMNS)
    expected = load(clip_file).ground(picture, [HOSTILE, "a dog"])
    for row, answer in zip(rows, expected, strict=True):
        assert (row["image"], row["phrase"]) == (str(picture), answer.phrase)
        box = [float(row[edge]) for edge in ("x1", "y1", "x2", "y2")]
        np.testing.assert_allclose(box, answer.boxes_xyxy[0], atol=2e-3)
        assert float(row["score"]) == pytest.approx(answer.scores[0], abs=2e-5)
        assert row["presence"] == ""  # nobody calibrated this CLIP
    head, *lines = outcome.out.splitlines()
    assert head.split() == list(COLUMNS)
    assert HOSTILE in lines[0] and "a dog" in lines[1] and "not calibrated" in lines[2]
    assert f"{expected[0].boxes_xyxy[0][2]:.1f}" in lines[0]
    assert "asking RN50: CLIP" in outcome.err


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_a_folder_as_json_and_pictures(capsys, clip_file, photos, tmp_path, suffix):
    Image.new("RGB", (30, 30)).save(photos / "b.jpg")  # called alike
    output = tmp_path / "new" / f"boxes{suffix}"
    words = "a dog", "--output", output, "--model.clip", clip_file, "--pictures", tmp_path / "drawn"
    outcome = run(capsys, photos, *words, "--skip_broken", "true")
    assert outcome.code == 0, outcome
    written = output.read_text()
    records = json.loads(written) if suffix == ".json" else [json.loads(line) for line in written.splitlines()]
    assert [len(each["answers"]) for each in records] == [1] * 4, "the word after --skip_broken is no phrase"
    assert [each["key"] for each in records] == [str(photos / name) for name in ("# 1.jpg", "b.jpg", "b.png", "c.png")]
    assert [each["width"] for each in records] == [50, 30, 51, 52]
    assert records[0]["answers"][0]["presence"] is None and records[0]["answers"][0]["found"] == [0]
    assert [path.name for path in output.parent.iterdir()] == [output.name]
    assert sorted(path.name for path in (tmp_path / "drawn").iterdir()) == ["# 1.png", "b.png", "b_2.png", "c.png"]


def test_a_broken_file_ends_it_or_is_noted(capsys, clip_file, photos, tmp_path):
    (photos / "b.png").write_bytes(b"nothing")
    words = (photos, "a dog", "-o", tmp_path / "boxes.csv", "--model", clip_file)
    assert_refused(run(capsys, *words), "b.png", "cannot be read")
    assert not list(tmp_path.glob("boxes*"))
    outcome = run(capsys, *words, "--skip_broken")
    assert outcome.code == 0, outcome
    rows = list(csv.DictReader((tmp_path / "boxes.csv").open(encoding="utf-8", newline="")))
    assert [bool(row["x1"]) for row in rows] == [True, False, True]
    assert "cannot be read" in rows[1]["note"] and "cannot be read" in outcome.out


def test_what_cannot_be_asked_is_said_at_once(capsys, clip_file, photos, tmp_path):
    (tmp_path / "empty").mkdir()
    for words, said in (
        ([photos], "PHRASE"),
        ([photos, "a dog", "-o", "boxes.txt"], ".csv, .json, .jsonl"),
        ([tmp_path / "empty", "a dog"], "holds no image"),
        ([photos, " ", "--skip_broken", "--model", clip_file], "empty"),
    ):
        assert_refused(run(capsys, *words), said)


def test_an_archive_is_trusted_only_where_it_is_said(capsys, photos, tmp_path):
    archive = save_archive(tmp_path / "RN50.pt")
    assert_refused(run(capsys, photos / "b.png", "a dog", "--model", archive), "trust_checkpoint")
    assert run(capsys, photos / "b.png", "a dog", "--model", archive, "--trust_checkpoint").code == 0


def test_ctrl_c_ends_with_130_and_leaves_no_half_file(capsys, clip_file, photos, tmp_path, monkeypatch):
    monkeypatch.setattr(stream, "hottest_point", mock.Mock(side_effect=KeyboardInterrupt))
    outcome = run(capsys, photos, "a dog", "-o", tmp_path / "boxes.csv", "--model", clip_file)
    assert outcome.code == 130 and "Traceback" not in outcome.err
    assert not list(tmp_path.glob("boxes*"))


def test_a_photograph_given_to_drawings_weights_is_told(capsys, tmp_path):
    across, down = np.meshgrid(np.linspace(0, 1, 90), np.linspace(0, 1, 90))
    colours = np.stack([across * down, np.sin(7 * across) ** 2, np.cos(5 * down) ** 2], axis=2)
    Image.fromarray((255 * colours).astype(np.uint8)).save(tmp_path / "a.png")
    outcome = run(capsys, tmp_path / "a.png", "the red car", "a dog", "-o", tmp_path / "boxes.jsonl", "--model",
                  "zero-shot")  # fmt: skip
    assert outcome.code == 0, outcome
    assert outcome.err.count("warning: this looks like a photograph") == 1
    assert outcome.out.count("\n* this looks like a photograph") == 1
    assert [line.endswith("  *") for line in outcome.out.splitlines()[1:4]] == [True, True, False]
    record = json.loads((tmp_path / "boxes.jsonl").read_text())
    assert "drawings only" in record["warning"] and 0 < record["answers"][0]["presence"] < 1


def test_a_method_of_ones_own_is_asked(capsys, photos, tmp_path):
    picture, words = photos / "b.png", ("a dog", "nothing", "-o", tmp_path / "boxes.csv")
    outcome = run(capsys, picture, *words, "--model", "tests.deployment.own_methods:Quarter")
    assert outcome.code == 0 and "asking quarter: " in outcome.err
    found, nothing = csv.DictReader((tmp_path / "boxes.csv").read_text(encoding="utf-8").splitlines())
    assert float(found["x2"]) - float(found["x1"]) == 25 and found["note"] == ""
    assert (nothing["image"], nothing["phrase"], nothing["x1"]) == (str(picture), "nothing", "")
    assert nothing["note"] == "nothing fits it" and "nothing fits it" in outcome.out
