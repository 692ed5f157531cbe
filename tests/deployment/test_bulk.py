"""`python -m grounding.deployment.bulk`: the same file of boxes however often it was stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import pytest
from filelock import FileLock
from PIL import Image

from grounding import InputError, ModelConfig, load
from grounding.clip.text import TextEncoder
from grounding.deployment import bulk
from grounding.deployment.bulk import BulkConfig, ground_file
from grounding.runtime import files
from grounding.runtime.launch import LAUNCH
from tests.tiny_clip import save_tiny_clip

IMAGES = 10


@pytest.fixture
def config(tmp_path: Path) -> BulkConfig:
    """Ten requests in photos/requests.jsonl, beside their images."""
    photos = tmp_path / "photos"
    photos.mkdir()
    for index in range(IMAGES):
        pixels = np.random.default_rng(index).integers(0, 256, (48, 40 + index, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / f"{index}.png")
    write(photos / "requests.jsonl", [{"image": f"{i}.png", "phrases": [f"thing {i}", "a dög"]} for i in range(IMAGES)])
    model = ModelConfig(clip=str(save_tiny_clip(tmp_path / "clip.pt")), model_size=64)
    return BulkConfig("zero-shot", photos / "requests.jsonl", tmp_path / "out" / "boxes.jsonl", block=3, model=model,
                      device="cpu")  # fmt: skip


def write(path: Path, records: list[Any]) -> None:
    path.write_text("".join(json.dumps(each) + "\n" for each in records))


def read(config: BulkConfig) -> list[dict[str, Any]]:
    return [json.loads(line) for line in config.output.read_text().splitlines()]


def test_a_line_for_each_request_in_their_order(config: BulkConfig) -> None:
    first, *others = [json.loads(line) for line in config.requests.read_text().splitlines()]
    # A path may be absolute, and a key takes its place.
    write(config.requests, [{**first, "image": str(config.requests.parent / "0.png"), "key": "the first"}, *others])
    with mock.patch.object(TextEncoder, "forget") as forgotten:
        assert ground_file(config) == f"10 images, 0 of them broken, in {config.output}"
    assert forgotten.call_count == 4, "the answers of a block depend on no other's phrases"
    answers = read(config)
    assert [each["key"] for each in answers] == ["the first", *(f"{i}.png" for i in range(1, IMAGES))]
    grounder = load("zero-shot", model=config.model)
    for i, answer in enumerate(answers):
        assert (answer["width"], answer["height"]) == (40 + i, 48)
        alone = grounder.ground(config.requests.parent / f"{i}.png", [f"thing {i}", "a dög"])
        for one, other in zip(answer["answers"], alone, strict=True):
            assert one["phrase"] == other.phrase
            np.testing.assert_allclose(one["boxes_xyxy"], other.boxes_xyxy, atol=2e-3)
            np.testing.assert_allclose(one["scores"], other.scores, atol=2e-5)
            assert 0 < one["point_xy"][0] < 40 + i and 0 < one["point_xy"][1] < 48
            assert one["found"] == [0] and one["presence"] is None  # nobody calibrated it
    assert sorted(each.name for each in config.output.parent.iterdir()) == ["boxes.json", "boxes.jsonl", "boxes.lock"]
    note = json.loads(config.output.with_suffix(".json").read_text())
    assert f"torch.{note['precision']}" == str(grounder.encoder.clip.precision)


def test_stopped_and_taken_up_again_with_the_same_alone(config: BulkConfig) -> None:
    ground_file(config)
    stopped = replace(config, output=config.output.with_name("stopped.jsonl"))
    image, lines = config.requests.parent / "7.png", config.requests.read_text()
    content = image.read_bytes()
    image.write_bytes(b"no image")
    with pytest.raises(InputError, match=r"requests\.jsonl, line 8: .*7\.png cannot be read"):
        ground_file(stopped)
    image.write_bytes(content)
    (config.requests.parent / "0.png").unlink()  # its answer is kept
    unfinished = stopped.output.with_suffix(".unfinished")
    with unfinished.open("ab") as kept:
        kept.write(b'\n["{')  # as a kill tears it
    before = unfinished.read_bytes()
    config.requests.write_text(lines.replace("thing 9", "thing 10"))
    with pytest.raises(InputError, match=r"made from something else \(requests in stopped\.json\)"):
        ground_file(stopped)
    config.requests.write_text(lines)
    for other in (replace(stopped, model=replace(config.model, model_size=96)), replace(stopped, block=2)):
        with pytest.raises(InputError, match="made from something else"):
            ground_file(other)
    assert unfinished.read_bytes() == before and not stopped.output.exists()
    ground_file(stopped)
    assert stopped.output.read_bytes() == config.output.read_bytes()
    (config.requests.parent / "1.png").unlink()
    ground_file(stopped)  # asks for nothing


def test_a_broken_image_may_be_skipped(config: BulkConfig) -> None:
    ground_file(config)
    whole = read(config)
    (config.requests.parent / "4.png").unlink()
    skipping = replace(config, output=config.output.with_name("skipping.jsonl"), skip_broken=True)
    assert ground_file(skipping).startswith("10 images, 1 of them broken")
    answers = read(skipping)
    assert list(answers[4]) == ["key", "error"] and answers[4]["key"] == "4.png" and "4.png" in answers[4]["error"]
    assert answers[:4] + answers[5:] == whole[:4] + whole[5:]


def test_one_process_at_a_time(config: BulkConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "SECONDS_FOR_THE_KILLED", 0.1)
    config.output.parent.mkdir()
    with FileLock(config.output.with_suffix(".lock")), pytest.raises(InputError, match=r"grounding of boxes\.jsonl"):
        ground_file(config)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("nonsense", "Expecting value"),
        ('{"phrases": ["a"]}', "image is missing"),
        ('{"image": "a.png", "phrases": []}', r"phrases is \[\]: "),
        ('{"image": "a.png", "phrases": ["a", " "]}', r"phrases\.1 is ' ': "),
    ],
)
def test_a_wrong_line_is_named_before_any_work(config: BulkConfig, line: str, message: str) -> None:
    good = config.requests.read_text().splitlines()
    refusal = rf", line 2, cannot be used \({message}.*\): write"
    for content, words in (("\n".join([good[0], line, good[1]]), refusal), ("", " is empty")):
        config.requests.write_text(content)
        with pytest.raises(InputError, match=rf"requests\.jsonl{words}"):
            ground_file(config)
    assert not config.output.parent.exists()


def test_wrong_settings_are_refused(config: BulkConfig) -> None:
    for changed, message in (
        (replace(config, requests=Path("nowhere.jsonl")), "no file of requests nowhere.jsonl"),
        (replace(config, output=Path("boxes.csv")), r"ends in \.jsonl"),
    ):
        with pytest.raises(InputError, match=message):
            ground_file(changed)
    assert not config.output.parent.exists()


def test_the_command(config: BulkConfig, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["--method", "zero-shot", "--requests", config.requests, "--output", config.output, "--device", "cpu",
             "--model.clip", config.model.clip, "--model.model_size", 64]  # fmt: skip
    bulk.main([*map(str, words)])
    assert capsys.readouterr().out == f"10 images, 0 of them broken, in {config.output}\n"
    for name, value in {**dict.fromkeys(LAUNCH, "2"), "RANK": "0"}.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(SystemExit):
        bulk.main([*map(str, words)])
    assert "works in one process" in capsys.readouterr().err


def test_requests_that_change_meanwhile_are_not_mixed_with_those_that_were_checked(config, monkeypatch) -> None:
    lines, loaded = config.requests.read_text(), bulk.load_method

    def edited(*arguments):
        config.requests.write_text(lines.replace("thing", "other"))
        return loaded(*arguments)

    monkeypatch.setattr(bulk, "load_method", edited)
    ground_file(config)
    assert [each["answers"][0]["phrase"] for each in read(config)] == [f"thing {i}" for i in range(IMAGES)]
    with pytest.raises(InputError, match=r"made from something else \(requests in boxes\.json\)"):
        ground_file(config)
