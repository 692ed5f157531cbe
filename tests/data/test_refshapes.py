from __future__ import annotations

import hashlib
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes import scenes as scenes_module
from grounding.data.refshapes import writer
from grounding.data.refshapes.captions import CaptionedView, captioned_views, captions_true_of
from grounding.data.refshapes.drawing import shape_mask
from grounding.data.refshapes.meaning import Description, is_unique
from grounding.data.refshapes.phrases import ANCHOR_SUBSETS, attributes_of, describe
from grounding.data.refshapes.scenes import MIN_VISIBLE, Scene, SceneObject
from grounding.data.refshapes.vocabulary import ADJECTIVES, ANY_NOUN, COLOURS, NOUNS, RELATION_PHRASES, TEXTURE_CLAUSES
from grounding.data.refshapes.writer import make_split_scene, write_refshapes
from grounding.errors import InputError
from grounding.types import Expression
from tests.data.refshapes_reader import Meaning, Thing, denoted, read_phrase

COUNTS = {"train": 250, "val": 200, "test": 250}
FEW = {"train": 12, "val": 4, "test": 6}
ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Told:
    """One written expression with the scene that its image was made from."""

    expression: Expression
    scene: Scene
    target: int
    meaning: Meaning

    @property
    def item(self) -> SceneObject:
        return self.scene.objects[self.target]


@dataclass(frozen=True)
class Benchmark:
    """A written benchmark, read back."""

    root: Path
    scenes: dict[str, list[Scene]]
    told: dict[str, list[Told]]

    @property
    def everything_told(self) -> list[Told]:
        return [told for split in self.told.values() for told in split]


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    root = tmp_path_factory.mktemp("data") / "refshapes"
    write_refshapes(root, COUNTS)
    scenes = {split: [make_split_scene(split, i, 0)[0] for i in range(count)] for split, count in COUNTS.items()}
    told: dict[str, list[Told]] = {}
    ann_id = 1
    for split, of_split in scenes.items():
        owner = {}
        for scene in of_split:
            for target in range(len(scene.objects)):
                owner[ann_id] = (scene, target)
                ann_id += 1
        told[split] = [Told(e, *owner[e.ann_id], read_phrase(e.phrase)) for e in RefCOCOg(root, split).expressions]
    return Benchmark(root, scenes, told)


@pytest.fixture(scope="module")
def views() -> list[CaptionedView]:
    return list(islice(captioned_views(0, 64), 500))


def things(objects: tuple[SceneObject, ...]) -> list[Thing]:
    names = ("shape", "colour", "texture", "size")
    return [Thing({name: getattr(item, name) for name in names}, item.box_xyxy) for item in objects]


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def alternatives(words: dict[str, tuple[str, ...]]) -> set[str]:
    return {word for group in words.values() for word in group}


# Phrases.


def test_every_phrase_fits_its_target_for_certain_and_nothing_else_at_all(benchmark):
    for told in benchmark.everything_told:
        assert 2 <= len(told.expression.phrase.split()) <= 14
        seen = things(told.scene.objects)
        assert denoted(told.meaning, seen, strictly=True) == [told.target], told.expression.phrase
        assert denoted(told.meaning, seen, strictly=False) == [told.target], told.expression.phrase
        if told.meaning.relation:
            assert len(denoted(Meaning(told.meaning.anchor), seen, strictly=False)) == 1, told.expression.phrase


def test_boxes_and_categories_are_those_of_the_object_described(benchmark):
    for told in benchmark.everything_told:
        assert told.expression.box_xyxy == told.item.box_xyxy
        assert told.expression.category == told.item.shape


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


def test_tags_say_what_the_phrase_is(benchmark):
    seen_in_training = {(item.colour, item.shape) for scene in benchmark.scenes["train"] for item in scene.objects}
    for told in benchmark.everything_told:
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


# Scenes.


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


# Files.


def test_the_folder_is_read_as_refcocog(tmp_path):
    write_refshapes(tmp_path / "r", FEW, seed=3)
    for split, count in FEW.items():
        dataset = RefCOCOg(tmp_path / "r", split, group_by="image")
        dataset.check_images()
        names = {path.name for path in dataset.images_dir.glob(f"refshapes_{split}_*.jpg")}
        assert len(names) == count
        for example in dataset:
            name = example.expressions[0].image_path.name
            names.remove(name)
            scene = make_split_scene(split, int(Path(name).stem[-6:]), 3)[0]
            assert example.image.shape == scene.image.shape
            assert np.abs(example.image.astype(int) - scene.image).mean() < 8  # JPEG
            boxes = {tuple(box) for box in example.boxes_xyxy.tolist()}
            assert boxes <= {item.box_xyxy for item in scene.objects}
        assert len(names) <= 0.2 * count  # now and then no object of a scene has a phrase of its own
    sentence_ids = [e.sent_id for split in FEW for e in RefCOCOg(tmp_path / "r", split).expressions]
    assert sorted(sentence_ids) == list(range(len(sentence_ids)))


def test_the_same_seed_gives_the_same_bytes_on_any_number_of_cores_and_another_seed_other_ones(tmp_path, monkeypatch):
    write_refshapes(tmp_path / "a", FEW, seed=3)
    monkeypatch.setattr(writer.os, "cpu_count", lambda: 1)
    write_refshapes(tmp_path / "b", FEW, seed=3)
    write_refshapes(tmp_path / "c", FEW, seed=4)
    a, b, c = (files_of(tmp_path / name) for name in "abc")
    assert a == b
    assert list(a) == list(c)
    assert not [name for name in a if a[name] == c[name]]


def test_splits_share_no_image(benchmark):
    digests = Counter(hashlib.sha256(path.read_bytes()).digest() for path in (benchmark.root / "images").iterdir())
    assert len(digests) == sum(COUNTS.values())
    pixels = {scene.image.tobytes() for of_split in benchmark.scenes.values() for scene in of_split}
    assert len(pixels) == sum(COUNTS.values())


def test_a_complete_folder_is_kept_and_one_of_another_recipe_replaced(tmp_path, monkeypatch):
    root = tmp_path / "r"
    write_refshapes(root, FEW)
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    (root / "images" / "refshapes_train_000000.jpg").touch()
    touched = {path: path.stat().st_mtime_ns for path in root.rglob("*")}
    write_refshapes(root, FEW)
    assert {path: path.stat().st_mtime_ns for path in root.rglob("*")} == touched != before
    write_refshapes(root, FEW, seed=1)
    write_refshapes(tmp_path / "fresh", FEW, seed=1)
    assert files_of(root) == files_of(tmp_path / "fresh")
    write_refshapes(root, {**FEW, "val": 5}, seed=1)
    assert len(list((root / "images").iterdir())) == 23
    monkeypatch.chdir(root)
    write_refshapes(Path("."), FEW, seed=2)  # has no name to derive the unfinished folder's from
    assert len(list((root / "images").iterdir())) == 22
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fresh", "r"]


@pytest.mark.parametrize("with_benchmark", [False, True])
def test_a_folder_with_other_files_is_refused_and_left_alone(tmp_path, with_benchmark):
    root = tmp_path / "r"
    if with_benchmark:
        write_refshapes(root, FEW)
    root.mkdir(exist_ok=True)
    (root / "thesis.txt").write_text("years of work")
    before = files_of(tmp_path)
    with pytest.raises(InputError, match=r"thesis\.txt"):
        write_refshapes(root, FEW, seed=1)
    assert files_of(tmp_path) == before


def test_a_file_and_negative_numbers_are_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="is a file"):
        write_refshapes(tmp_path / "file", FEW)
    with pytest.raises(InputError, match="negative"):
        write_refshapes(tmp_path / "r", {**FEW, "val": -1})
    with pytest.raises(InputError, match="negative"):
        write_refshapes(tmp_path / "r", FEW, seed=-1)
    assert not (tmp_path / "r").exists()


def test_a_killed_run_leaves_nothing_that_looks_complete_and_the_old_benchmark_whole(tmp_path, monkeypatch):
    write_refshapes(tmp_path / "old", FEW)
    before = files_of(tmp_path / "old")
    with monkeypatch.context() as patch:
        patch.setattr(writer, "_write_annotations", _raise_interrupt)
        for name in ("new", "old"):
            with pytest.raises(KeyboardInterrupt):
                write_refshapes(tmp_path / name, FEW, seed=1)
    assert not (tmp_path / "new").exists()
    assert files_of(tmp_path / "old") == before
    assert len(list(tmp_path.rglob("refshapes.json"))) == 1
    for name in ("new", "old"):
        write_refshapes(tmp_path / name, FEW, seed=1)
    assert files_of(tmp_path / "new") == files_of(tmp_path / "old") != before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "old"]


def _raise_interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def run_module(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "grounding.data.refshapes", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_command_writes_the_benchmark(tmp_path):
    outcome = run_module("--root", tmp_path / "r", "--train", 4, "--val", 2, "--test", 2)
    assert outcome.returncode == 0, outcome.stderr
    assert str(tmp_path / "r") in outcome.stdout
    assert len(list((tmp_path / "r" / "images").iterdir())) == 8
    assert all(len(RefCOCOg(tmp_path / "r", split)) for split in COUNTS)


def test_the_commands_help_and_errors_are_readable(tmp_path):
    outcome = run_module("--help")
    assert outcome.returncode == 0
    assert outcome.stdout.startswith("usage: python -m grounding.data.refshapes ")
    for option in ("--root", "--train", "--val", "--test", "--seed"):
        assert option in outcome.stdout
    (tmp_path / "mine.txt").touch()
    outcome = run_module("--root", tmp_path)
    assert outcome.returncode == 2
    assert outcome.stderr.startswith("error: ") and "mine.txt" in outcome.stderr
    assert "Traceback" not in outcome.stderr


# Captions for pretraining.


def read_caption(caption: str) -> Iterator[Meaning]:
    return map(read_phrase, caption.split(" and "))


def shows_one_object(view: CaptionedView) -> bool:
    return len(view.shows) == 1  # a scene has two at least


def attributes_mentioned(view: CaptionedView) -> list[dict[str, str]]:
    """Of what a caption is about; an object shown by itself may be placed by one outside the picture."""
    said = list(read_caption(view.caption))
    anchors = [meaning.anchor for meaning in said if meaning.relation and not shows_one_object(view)]
    return [meaning.attributes for meaning in said] + anchors


def test_captions_name_what_is_shown_and_no_held_out_combination(views, benchmark):
    novel = {(told.item.colour, told.item.shape) for told in benchmark.told["test"] if "novel" in told.expression.tags}
    for view in views:
        assert view.image.shape == (64, 64, 3) and view.image.dtype == np.uint8
        mentioned = attributes_mentioned(view)
        assert mentioned == [dict(attributes) for attributes in view.mentions]
        assert all(any(thing.looks(attributes) for thing in things(view.shows)) for attributes in mentioned)
        said = [part for meaning in read_caption(view.caption) for part in (meaning.attributes, meaning.anchor)]
        assert not any((attributes.get("colour"), attributes.get("shape")) in novel for attributes in said)
        assert not any((item.colour, item.shape) in novel for item in view.shows)


def test_captions_true_of_is_what_a_reader_finds(views):
    some = views[:120]
    mentioned = [attributes_mentioned(view) for view in some]
    expected = [
        [all(any(thing.looks(attributes) for thing in things(view.shows)) for attributes in said) for said in mentioned]
        for view in some
    ]
    np.testing.assert_array_equal(captions_true_of(some), expected)
    assert captions_true_of(some).diagonal().all()
    assert 0 < captions_true_of(some).mean() < 0.5


def test_two_of_three_views_are_zoomed_onto_one_object(views):
    assert [shows_one_object(view) for view in views[:30]] == 10 * [True, True, False]


def test_captions_with_a_relation_place_one_object_of_the_scene(views):
    related = [(view, meaning) for view in views for meaning in read_caption(view.caption) if meaning.relation]
    assert any(shows_one_object(view) for view, _ in related)
    placed = [(view, meaning) for view, meaning in related if not shows_one_object(view)]
    assert {meaning.relation for _, meaning in placed} == {"left", "right", "above", "below", "near"}
    for view, meaning in placed:
        seen = things(view.shows)
        assert denoted(meaning, seen, strictly=True) == denoted(meaning, seen, strictly=False)
        assert len(denoted(meaning, seen, strictly=True)) == 1


def test_streams_of_views_are_repeatable_and_apart(views):
    again = list(islice(captioned_views(0, 64), 20))
    assert all((a.image == b.image).all() and a.caption == b.caption for a, b in zip(again, views, strict=False))
    others = [*islice(captioned_views(0, 64, stream=1), 20), *islice(captioned_views(1, 64), 20)]
    assert not {view.image.tobytes() for view in again} & {view.image.tobytes() for view in others}
