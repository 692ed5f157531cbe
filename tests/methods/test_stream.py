"""A stream of images: in its order, as if asked one by one, and never much of it in memory."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Sequence
from itertools import count, islice
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from grounding import InputError, ModelConfig, grounding_of_boxes, load
from grounding.data.images import as_image
from grounding.methods import stream
from grounding.methods.stream import GroundedImage, Request, ground_many
from grounding.types import Grounding
from tests.tiny_clip import save_tiny_clip

PHRASES = [f"the {colour} {thing}" for colour in ("red", "blue", "old") for thing in ("box", "dog", "car")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six photographs of several sizes and a CLIP; not to be changed."""
    folder = tmp_path_factory.mktemp("bulk")
    save_tiny_clip(folder / "clip.pt")
    for index in range(6):
        pixels = np.random.default_rng(index).integers(0, 256, (40 + 9 * index, 90 - 7 * index, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{index}.png")
    return folder


class Counting:
    """Answers with the whole image, and counts the heatmaps that are there at once."""

    def __init__(self) -> None:
        self.alive = self.most_alive = 0
        self.asked: list[int] = []

    def encode(self, image: object) -> SimpleNamespace:
        return SimpleNamespace(images=(as_image(image),))

    def ground(self, image: SimpleNamespace, phrases: Sequence[str]) -> list[Grounding]:
        self.asked.append(len(phrases))
        return [self._grounding(phrase, image.images[0]) for phrase in phrases]

    def _grounding(self, phrase: str, image: np.ndarray) -> Grounding:
        answer = grounding_of_boxes(phrase, np.array([[0, 0, 9, 9]]), np.ones(1), image)
        weakref.finalize(answer.heatmap, self._gone)
        self.alive += 1
        self.most_alive = max(self.most_alive, self.alive)
        return answer

    def _gone(self) -> None:
        self.alive -= 1


@pytest.mark.parametrize("name", ["zero-shot", "yolo-clip"])
def test_as_if_asked_one_by_one(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream, "PHRASES_AT_ONCE", 4)
    grounder = load(name, model=ModelConfig(clip=str(folder / "clip.pt"), model_size=64))
    # As a path or as pixels, with many phrases or none.
    requests = [Request(f"number {i}", folder / f"{i}.png", PHRASES[: 2 * i]) for i in range(6)]
    requests[3] = requests[3]._replace(image=as_image(folder / "3.png"))
    answers = list(grounder.ground_many(requests))
    assert [answer.key for answer in answers] == [f"number {i}" for i in range(6)]
    for i, answer in enumerate(answers):
        height, width = as_image(folder / f"{i}.png").shape[:2]
        assert (answer.width, answer.height, answer.error) == (width, height, "")
        alone = grounder.ground(folder / f"{i}.png", PHRASES[: 2 * i])
        for one, other in zip(answer.phrases, alone, strict=True):
            assert one.phrase == other.phrase
            np.testing.assert_allclose(one.boxes_xyxy, other.boxes_xyxy, atol=1e-3)
            np.testing.assert_allclose(one.scores, other.scores, atol=1e-5)
            row, column = divmod(int(np.argmax(other.heatmap)), width)
            assert one.point_xy == (column + 0.5, row + 0.5)
            assert one.found == other.found == (0,) and one.presence == pytest.approx(other.presence, abs=1e-5)


@pytest.mark.parametrize("ahead", [0, 1, 5])
def test_an_endless_stream_is_never_read_far_ahead(folder: Path, ahead: int) -> None:
    taken = 0

    def endless() -> Iterator[Request]:
        nonlocal taken
        for number in count():
            taken += 1
            yield Request(str(number), folder / f"{number % 6}.png", PHRASES[:1])

    for number, answer in enumerate(islice(ground_many(Counting(), endless(), ahead=ahead), 20)):
        assert answer.key == str(number)
        assert taken == number + 1 + ahead


def test_heatmaps_are_dropped_as_soon_as_their_boxes_are_known(folder: Path, monkeypatch) -> None:
    grounder = Counting()
    many = [f"phrase {i}" for i in range(100)]
    monkeypatch.setattr(stream, "PHRASES_AT_ONCE", 8)
    [answer] = ground_many(grounder, [("a", folder / "0.png", many)])
    assert [each.phrase for each in answer.phrases] == many
    assert grounder.asked == [8] * 12 + [4]
    assert grounder.most_alive <= 9 and grounder.alive == 0
    monkeypatch.setattr(stream, "MOST_HEAT", 3 * 40 * 90)
    grounder.asked.clear()
    list(ground_many(grounder, [("a", folder / "0.png", many[:7])]))
    assert grounder.asked == [3, 3, 1], "of a large photograph fewer"


@pytest.mark.parametrize(("option", "value", "least"), [("ahead", -1, 0), ("ahead", True, 0), ("readers", 2.0, 1)])
def test_numbers_of_a_stream_are_refused_before_an_answer_is_asked_for(option: str, value, least: int) -> None:
    with pytest.raises(InputError, match=f"{option} is .*: give a whole number of at least {least}"):
        ground_many(Counting(), [], **{option: value})


def test_what_is_no_request_is_said_in_a_sentence() -> None:
    for given in ("key", ("0.png", ["a"])):
        with pytest.raises(InputError, match=r"a request is \(key, image, phrases\), got "):
            list(ground_many(Counting(), [given], skip_broken=True))


@pytest.mark.parametrize("name", ["zero-shot", "yolo-clip"])
def test_a_batch_is_checked_as_one_image_is(folder: Path, name: str) -> None:
    grounder = load(name, model=ModelConfig(clip=str(folder / "clip.pt"), model_size=64))
    images = [as_image(folder / f"{index}.png") for index in range(2)]
    for phrases, said in ((["circle", "star"], "single string 'circle'"), ([["circle"]], "2 images and 1 lists")):
        with pytest.raises(InputError, match=said):
            grounder.ground_batch(images, phrases)
    for wrong in ([images[0], images[1][..., 0]], images[0]):  # of one image, the rows would be taken for images
        with pytest.raises(InputError, match=r"\(H, W, 3\) uint8"):
            grounder.ground_batch(wrong, [["a"]] * len(wrong))


@pytest.mark.parametrize(
    ("image", "phrases", "message"),
    [
        ("gone.png", ["a"], "there is no image file"),
        ("0.png", ["a", "dog " * 100], "longer than CLIP's 77 tokens"),
        (np.zeros((4, 4), dtype=np.uint8), ["a"], r"\(H, W, 3\) uint8"),
    ],
)
def test_a_broken_request_stops_or_is_skipped(folder: Path, image, phrases, message) -> None:
    broken = folder / image if isinstance(image, str) else image
    requests = [("a", folder / "0.png", ["a dog"]), ("b", broken, phrases), ("c", folder / "1.png", ["a dog"])]
    grounder = load("zero-shot", model=ModelConfig(clip=str(folder / "clip.pt"), model_size=64))
    answers = grounder.ground_many(requests)
    assert next(answers).key == "a"
    with pytest.raises(InputError, match=message):
        next(answers)
    first, second, third = grounder.ground_many(requests, skip_broken=True)
    assert (first.error, third.error) == ("", "") and len(third.phrases) == 1
    assert second == GroundedImage("b", error=second.error) and second.error
