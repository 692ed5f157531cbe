"""What the benchmark promises of its phrases and scenes, held against a reader of its own."""

from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import pytest

from grounding.data.refshapes import scenes as scenes_module
from grounding.data.refshapes.drawing import shape_mask
from grounding.data.refshapes.meaning import Description, is_unique
from grounding.data.refshapes.phrases import ANCHOR_SUBSETS, attributes_of, describe
from grounding.data.refshapes.scenes import MIN_VISIBLE, Scene
from grounding.data.refshapes.vocabulary import ADJECTIVES, ANY_NOUN, COLOURS, NOUNS, RELATION_PHRASES, TEXTURE_CLAUSES
from grounding.data.refshapes.writer import make_split_scene
from tests.data.refshapes.benchmark import Benchmark, things, written_benchmark
from tests.data.refshapes.reader import Meaning, denoted

COUNTS = {"train": 250, "val": 200, "test": 250}


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return written_benchmark(tmp_path_factory.mktemp("data") / "refshapes", COUNTS)


def alternatives(words: dict[str, tuple[str, ...]]) -> set[str]:
    return {word for group in words.values() for word in group}


def test_every_phrase_fits_its_target_for_certain_and_nothing_else_at_all(benchmark):
    for told in benchmark.everything_told:
        assert 2 <= len(told.expression.phrase.split()) <= 14
        seen = things(told.scene.objects)
        assert denoted(told.meaning, seen, strictly=True) == [told.target], told.expression.phrase
        assert denoted(told.meaning, seen, strictly=False) == [told.target], told.expression.phrase
        if told.meaning.relation:
            assert len(denoted(Meaning(told.meaning.anchor), seen, strictly=False)) == 1, told.expression.phrase


def test_every_word_relation_and_kind_of_phrase_occurs(benchmark):
    phrases = [told.expression.phrase for told in benchmark.everything_told]
    text = "\n".join(f" {phrase} " for phrase in phrases)
    words = alternatives(dict(ADJECTIVES)) | alternatives(dict(NOUNS)) | alternatives(dict(RELATION_PHRASES))
    missing = [word for word in {*words, *ANY_NOUN, *TEXTURE_CLAUSES.values(), "that is"} if f" {word} " not in text]
    assert not missing
    assert min(len(phrase.split()) for phrase in phrases) == 2
    assert max(len(phrase.split()) for phrase in phrases) >= 12
    for split, told in benchmark.told.items():
        relations = Counter(one.meaning.relation for one in told)
        assert set(relations) == {"", *RELATION_PHRASES}, split
        assert 0.05 < 1 - relations[""] / len(told) < 0.2


def test_tags_box_and_category_are_those_of_phrase_and_object(benchmark):
    seen_in_training = {(item.colour, item.shape) for scene in benchmark.scenes["train"] for item in scene.objects}
    for told in benchmark.everything_told:
        assert told.expression.box_xyxy == told.item.box_xyxy
        assert told.expression.category == told.item.shape
        kind = "relation" if told.meaning.relation else "attribute"
        is_new = (told.item.colour, told.item.shape) not in seen_in_training
        assert told.expression.tags == ((kind, "novel") if is_new else (kind,)), told.expression


def test_no_single_word_is_enough_for_most_objects(benchmark):
    # Attributes drawn independently would give a half of the objects a partner of the same shape or colour.
    objects = [(item, scene) for split in benchmark.scenes.values() for scene in split for item in scene.objects]
    has_partner = [
        any(other is not item and (other.shape == item.shape or other.colour == item.colour) for other in scene.objects)
        for item, scene in objects
    ]
    assert np.mean(has_partner) > 0.8


@pytest.mark.parametrize("kind", ["shape", "colour", "texture", "size"])
def test_a_listener_to_one_kind_of_word_finds_little_more_than_half(benchmark, kind):
    # It guesses among what fits the one word it understands; without any word it would be right three times in ten.
    chances = []
    for told in benchmark.everything_told:
        heard = {name: value for name, value in told.meaning.attributes.items() if name == kind}
        chances.append(1 / len(denoted(Meaning(heard), things(told.scene.objects), strictly=False)))
    assert np.mean(chances) < 0.6


def test_nearly_every_image_has_a_phrase_and_few_phrases_hang_on_size(benchmark):
    for split, count in COUNTS.items():
        assert len({told.expression.image_id for told in benchmark.told[split]}) > 0.94 * count
    hang_on_size = 0
    for told in benchmark.everything_told:
        without = {name: value for name, value in told.meaning.attributes.items() if name != "size"}
        meaning = Meaning(without, told.meaning.relation, told.meaning.anchor)
        hang_on_size += denoted(meaning, things(told.scene.objects), strictly=False) != [told.target]
    assert 0 < hang_on_size < 0.05 * len(benchmark.everything_told)


def test_a_relation_is_unique_by_the_package_exactly_where_the_scene_allows_it():
    # `describe` takes a short cut for relations; `is_unique` is what it must agree with.
    rng = np.random.default_rng(0)
    for index in range(40):
        objects = make_split_scene("val", index, 5)[0].objects
        for target in range(len(objects)):
            possible = any(
                is_unique(Description(attributes_of(objects[target], head), relation, attributes), objects, target)
                for head in (("shape",), ("colour", "shape"))
                for relation in RELATION_PHRASES
                for other in range(len(objects))
                for attributes in [attributes_of(objects[other], names) for names in ANCHOR_SUBSETS]
                if other != target
            )
            found = [describe(objects, target, rng, kind="relation") for _ in range(3)]
            assert all(d is not None and is_unique(d, objects, target) for d in found) or not (possible or any(found))


def test_scenes_hold_everything_that_the_benchmark_promises(benchmark):
    for split, of_split in benchmark.scenes.items():
        objects = [item for scene in of_split for item in scene.objects]
        assert {len(scene.objects) for scene in of_split} == {2, 3, 4, 5}, split
        assert {item.colour for item in objects} == set(COLOURS)
        assert {item.shape for item in objects} == set(NOUNS)
        assert {item.texture for item in objects} == {"plain", "striped", "dotted"}
        assert {item.size for item in objects} == {"small", "large"}
        shapes = {scene.image.shape for scene in of_split}
        assert len(shapes) >= 5 and min(h / w for h, w, _ in shapes) < 0.7 and max(h / w for h, w, _ in shapes) > 1.3


def test_held_out_combinations_are_in_the_test_split_alone(benchmark):
    pairs = {
        split: {(item.colour, item.shape) for scene in of_split for item in scene.objects}
        for split, of_split in benchmark.scenes.items()
    }
    novel = {(told.item.colour, told.item.shape) for told in benchmark.told["test"] if "novel" in told.expression.tags}
    assert len(novel) == 10
    assert not novel & (pairs["train"] | pairs["val"])
    assert len(pairs["train"]) == len(COLOURS) * len(NOUNS) - len(novel)
    share = np.mean(["novel" in told.expression.tags for told in benchmark.told["test"]])
    assert 0.05 < share < 0.3


def visible_parts(scene: Scene) -> tuple[np.ndarray, list[np.ndarray]]:
    """Which object is on top at each pixel (-1: none), and each object's whole pixels, painted one by one."""
    on_top = np.full(scene.image.shape[:2], -1)
    wholes = []
    for index, item in enumerate(scene.objects):
        left, top, side = item.patch
        whole = np.zeros(on_top.shape, dtype=bool)
        whole[top : top + side, left : left + side] = shape_mask(item.shape, side, item.rotation) > 0.5
        on_top[whole] = index
        wholes.append(whole)
    return on_top, wholes


def test_boxes_are_tight_about_what_is_visible_and_enough_is_visible(benchmark):
    visible_shares = []
    for scene in benchmark.scenes["train"] + benchmark.scenes["test"]:
        on_top, wholes = visible_parts(scene)
        for index, item in enumerate(scene.objects):
            rows, columns = np.nonzero(on_top == index)
            assert item.box_xyxy == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            visible_shares.append(len(rows) / wholes[index].sum())
    assert min(visible_shares) >= MIN_VISIBLE
    assert 0.02 < np.mean(np.array(visible_shares) < 1) < 0.5  # objects do hide each other


def test_boxes_are_where_the_picture_shows_the_object(benchmark, monkeypatch):
    # The same scene with other paint for one colour differs exactly where that object is seen.
    repainted = {name: tuple(255 - np.array(value)) for name, value in COLOURS.items()}
    checked = 0
    for index, scene in enumerate(benchmark.scenes["val"][:60]):
        colours = Counter(item.colour for item in scene.objects)
        for item in scene.objects:
            if colours[item.colour] > 1:
                continue
            monkeypatch.setattr(scenes_module, "COLOURS", {**COLOURS, item.colour: repainted[item.colour]})
            other = make_split_scene("val", index, 0)[0]
            rows, columns = np.nonzero((other.image != scene.image).any(axis=2))
            seen = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
            # The antialiased edge reaches past the pixels that count as covered.
            assert np.abs(seen - item.box_xyxy).max() <= 2, (index, item, seen)
            checked += 1
    assert checked > 50


def test_splits_share_no_image(benchmark):
    digests = Counter(hashlib.sha256(path.read_bytes()).digest() for path in (benchmark.root / "images").iterdir())
    assert len(digests) == sum(COUNTS.values())
    pixels = {scene.image.tobytes() for of_split in benchmark.scenes.values() for scene in of_split}
    assert len(pixels) == sum(COUNTS.values())
