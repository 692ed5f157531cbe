"""The commands of visualize.py that ask methods, from words to files."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grounding import load
from grounding.data.refcocog import RefCOCOg
from grounding.extraction import ExtractionConfig, extract
from grounding.visualization.commands import VisualizeConfig, _load
from grounding.visualization.figures import answers
from tests.scripts import Outcome, assert_refused, run_script

Capture = pytest.CaptureFixture[str]


def drawn(outcome: Outcome) -> list[Path]:
    assert outcome.code == 0, outcome
    return [Path(line) for line in outcome.out.strip().splitlines()]


@pytest.mark.parametrize(
    ("command", "methods", "names"),
    [
        ("", ["run"], ["data_test_run"]),
        ("figure", ["run", "zero-shot"], ["data_test_run", "data_test_zero-shot"]),
        ("compare", ["run", "gradcam", "whole-image"], ["data_test_run_gradcam_whole-image_compared"]),
    ],
)
def test_commands(
    command: str, methods: list[str], names: list[str], made: Path, tmp_path: Path, capsys: Capture
) -> None:
    words = [command] if command else []
    words += [str(made / "run") if method == "run" else method for method in methods]
    paths = drawn(run_script(capsys, "visualize.py", *words, "--data", made / "data", "--count", 2,
                             "--output", tmp_path / "new", "--device", "cpu"))  # fmt: skip
    assert [path.stem for path in paths] == names
    assert sorted(tmp_path.joinpath("new").iterdir()) == sorted(paths)
    for path in paths:
        with Image.open(path) as picture:
            assert picture.width >= 300 and len(np.unique(np.asarray(picture.convert("L")))) > 50


def test_bulk(made: Path, tmp_path: Path, capsys: Capture) -> None:
    images = sorted((made / "data" / "images").iterdir())[:3]
    (tmp_path / "photos").mkdir()
    for image in images:
        shutil.copy(image, tmp_path / "photos")
    whole = run_script(capsys, "visualize.py", made / "run", "--image", tmp_path / "photos", "--phrases",
                       "the red box", "--output", tmp_path / "new", "--device", "cpu", "--format", "pdf")  # fmt: skip
    assert [path.name for path in drawn(whole)] == [f"{image.stem}_run.pdf" for image in images]
    assert "pictures" in whole.err, "a progress bar"


def test_another_extraction_can_be_given_and_is_not_calibrated_by_the_runs_own(tmp_path: Path) -> None:
    config = VisualizeConfig(["refshapes"], tmp_path, device="cpu", extraction=ExtractionConfig("rectangle"))
    [grounder] = _load(config)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    [answer] = grounder.ground(pixels, ["a circle"])
    np.testing.assert_array_equal(answer.boxes_xyxy, extract(answer.heatmap, ExtractionConfig("rectangle"))[0])
    assert not answer.calibrated


def test_answers_are_the_methods(made: Path) -> None:
    example = RefCOCOg(made / "data", "test", group_by="image")[0]
    grounder = load(made / "run")
    encoded = grounder.encode(example.image)  # type: ignore[attr-defined]
    expected = grounder.ground(example.image, example.phrases)
    for answer, grounding, box in zip(answers(grounder, example), expected, example.boxes_xyxy, strict=True):
        np.testing.assert_array_equal(answer.grounding.boxes_xyxy, grounding.boxes_xyxy)
        np.testing.assert_array_equal(answer.annotated_xyxy, box)
        (cosines,) = grounder.similarity_maps(encoded, [grounding.phrase])  # type: ignore[attr-defined]
        assert answer.similarity is not None and answer.similarity.shape == grounding.heatmap.shape
        np.testing.assert_allclose(answer.similarity, cosines, atol=1e-6)
    assert all(answer.similarity is None for answer in answers(load("gradcam"), example))
    blind = answers(load("whole-image"), example)[0]
    assert blind.similarity is None and blind.extraction is None


def test_similarity_map_is_the_cosine(made: Path) -> None:
    """At each cell's centre, of an image as large as the model's square: computed by hand."""
    grounder = load(made / "run")
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    (similarity,) = grounder.similarity_maps(image, ["the red box"])  # type: ignore[attr-defined]
    encoder = grounder.encoder  # type: ignore[attr-defined]
    cells = encoder.encode([image]).features.embeddings[0].numpy()
    phrase = encoder.encode_phrases(["the red box"]).embeddings[0].numpy()
    cosines = np.einsum("ehw,e->hw", cells, phrase) / np.linalg.norm(cells, axis=0) / np.linalg.norm(phrase)
    side, stride = len(cosines), 64 // len(cosines)
    middle = (stride - 1) // 2  # the cell's centre is a pixel's corner: the mean of the four about it
    blocks = similarity.reshape(side, stride, side, stride)[:, middle : middle + 2, :, middle : middle + 2]
    np.testing.assert_allclose(blocks.mean(axis=(1, 3)), cosines, atol=0.02)


def test_what_is_refused(made: Path, tmp_path: Path, capsys: Capture) -> None:
    def refused(*words: object, fragment: str) -> None:
        assert_refused(run_script(capsys, "visualize.py", *words, "--output", tmp_path / "new"), fragment)
        assert not (tmp_path / "new").exists()

    data = ["--data", made / "data"]
    refused("zero-shot", fragment="--image FILE")
    refused(made / "run", *data, "--format", "gif", fragment="gif")
    refused(made / "run", made / "run", *data, fragment="both be called 'run'")
    refused("nonsense", *data, fragment="no run folder 'nonsense'")
    refused("zero-shot", *data, "--extraction.method", "quality", fragment="train.py extraction")
    refused("--methods", "[]", *data, fragment="no method is named")
    refused("zero-shot", *data, "--extraction.relative", "7", fragment="extraction.relative is 7.0")
    refused("zero-shot", *data, "--seed", "-1", fragment="seed")
