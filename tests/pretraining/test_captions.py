"""Captions for pretraining name what their view shows, and nothing held out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest

from pretraining.captions import CaptionedView, captioned_views, captions_true_of
from tests.data.refshapes.benchmark import Benchmark, things, written_benchmark
from tests.data.refshapes.reader import Meaning, denoted, read_phrase


@pytest.fixture(scope="module")
def views() -> list[CaptionedView]:
    return list(islice(captioned_views(0, 64), 500))


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    """Of the test split alone, which has the held-out combinations."""
    return written_benchmark(tmp_path_factory.mktemp("data") / "refshapes", {"test": 250})


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
