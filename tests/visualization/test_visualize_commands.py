"""The commands of visualize.py that ask methods, from words to files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from grounding import InputError, RefCOCOg, load
from grounding.extraction import ExtractionConfig, extract
from grounding.visualization.commands import VisualizeConfig, _load, sheets
from grounding.visualization.figures import answers
from tests.scripts import assert_refused, run_script
from tests.toy_data import write_toy_data

Capture = pytest.CaptureFixture[str]


def asked(**source: object) -> list[tuple[str, list[tuple[str, bool]]]]:
    """Per sheet its name, and the phrases with whether their box is known."""
    config = VisualizeConfig(["zero-shot"], Path("out"), **source)  # type: ignore[arg-type]
    return [
        (name, [(each.phrase, bool(np.isfinite(each.box_xyxy).all())) for read in sheet for each in read().expressions])
        for name, sheet in sheets(config).items()
    ]


def save_images(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        Image.new("RGB", (8, 6), "red").save(folder / name)
    return folder


def test_one_image_is_asked(tmp_path: Path) -> None:
    file = save_images(tmp_path, "street.png") / "street.png"
    assert asked(image=file, phrases="a car") == [("street", [("a car", False)])]
    assert asked(image=file, phrases=["a car", "a dog"]) == [("street", [("a car", False), ("a dog", False)])]


def test_a_folder_is_asked_image_by_image(tmp_path: Path) -> None:
    folder = save_images(tmp_path / "photos", "b.png", "a.jpg", "a.PNG", "B.jpg")
    (folder / "notes.txt").write_text("no image")
    (folder / "._b.png").write_text("macOS's note on b.png")
    (folder / "more").mkdir()
    question = [("a car", False)]
    expected = ["B", "a", "a_2", "b_2"]
    assert asked(image=folder, phrases="a car") == [(name, question) for name in expected]


def test_a_data_set_is_asked_by_lot(tmp_path: Path) -> None:
    root = write_toy_data(tmp_path / "toy", {"train": 1, "test": 9})
    dataset = RefCOCOg(root, "test")
    known = {each.phrase for each in dataset.expressions}
    for count, names in [(6, ["toy_test"]), (50, ["toy_test_1", "toy_test_2"])]:
        drawn = asked(data=root, count=count)
        assert [name for name, _ in drawn] == names
        rows = [row for _, of_sheet in drawn for row in of_sheet]
        assert len(rows) == min(count, 9) and all(phrase in known and annotated for phrase, annotated in rows)
    config = VisualizeConfig(["zero-shot"], Path("out"), data=root, count=9)
    ids = [read().expressions[0].image_id for sheet in sheets(config).values() for read in sheet]
    assert len(set(ids)) == 9, "each of another image"
    assert asked(data=root, count=5, seed=1) == asked(data=root, count=5, seed=1)
    assert len({str(asked(data=root, count=5, seed=seed)) for seed in range(5)}) > 1


def test_what_cannot_be_asked(tmp_path: Path) -> None:
    file = save_images(tmp_path, "street.png") / "street.png"
    for match, source in (
        ("--image and --data given", {"image": file, "data": tmp_path, "phrases": "a car"}),
        ('add --phrases "the red car"', {"image": file}),
        ("--phrases goes with --image", {"data": tmp_path, "phrases": "a car"}),
        ("empty holds no image", {"image": save_images(tmp_path / "empty"), "phrases": "a car"}),
        ("there is no image file", {"image": tmp_path / "gone.png", "phrases": "a car"}),
    ):
        with pytest.raises(InputError, match=match):
            asked(**source)


@pytest.mark.parametrize(
    ("command", "methods", "names"),
    [
        ("", ["run"], ["data_test_run"]),
        ("figure", ["run", "zero-shot"], ["data_test_run", "data_test_zero-shot"]),
        ("compare", ["run", "gradcam", "yolo-clip"], ["data_test_run_gradcam_yolo-clip_compared"]),
    ],
)
def test_commands(
    command: str, methods: list[str], names: list[str], made: Path, tmp_path: Path, capsys: Capture
) -> None:
    words = [command] if command else []
    words += [str(made / "run") if method == "run" else method for method in methods]
    outcome = run_script(capsys, "visualize.py", *words, "--data", made / "data", "--count", 2, "--output",
                         tmp_path / "new", "--device", "cpu")  # fmt: skip
    assert outcome.code == 0, outcome
    paths = [Path(line) for line in outcome.out.strip().splitlines()]
    assert [path.stem for path in paths] == names
    assert sorted(tmp_path.joinpath("new").iterdir()) == sorted(paths)
    for path in paths:
        with Image.open(path) as picture:
            assert picture.width >= 300 and len(np.unique(np.asarray(picture.convert("L")))) > 50


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
    proposed = answers(load("yolo-clip"), example)[0]
    assert proposed.similarity is None and proposed.extraction is None


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
    refused("zero-shot", *data, "--extraction.method", "quality", fragment="train.py extraction")
    refused("--methods", "[]", *data, fragment="no method is named")
    refused("zero-shot", *data, "--extraction.relative", "7", fragment="extraction.relative is 7.0")
