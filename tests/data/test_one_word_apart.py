"""Phrases one word apart, found as a search over all pairs finds them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from grounding.data.one_word_apart import OneWordApart

COLOURS, THINGS = ("red", "blue", "green"), ("cup", "ring", "dog")
PHRASES = [f"the {colour} {thing}" for colour, thing in itertools.product(COLOURS, THINGS)] + [
    "the cup",
    "the big red cup",
    "the red cup on the left",
    "the red cup on the right",
    "the ring left of the red cup",
    "cup",
    "dog",
]


def draw(phrase: str, count: int = 100, but: tuple[str, ...] = (), seed: int = 0) -> list[str]:
    return OneWordApart(PHRASES).draw(phrase, count, but=but, rng=np.random.default_rng(seed))


def one_word_apart(first: str, second: str) -> bool:
    """By definition: as many words, and in exactly one place another."""
    words = list(itertools.zip_longest(first.split(), second.split()))
    return all(a and b for a, b in words) and sum(a != b for a, b in words) == 1


@pytest.mark.parametrize("phrase", [*PHRASES, "the yellow cup", "the red cup on the top", "nothing like it at all"])
def test_all_are_found_and_nothing_else(phrase):
    assert sorted(draw(phrase)) == sorted(other for other in PHRASES if one_word_apart(phrase, other))


def test_by_hand():
    assert sorted(draw("the red cup")) == ["the blue cup", "the green cup", "the red dog", "the red ring"]
    assert draw("the red cup on the left") == ["the red cup on the right"]
    assert draw("the big red cup") == draw("the ring left of the red cup") == []


def test_none_of_those_to_leave_out():
    but = ("the blue cup", "the red dog", "the cup")
    assert sorted(draw("the red cup", but=but)) == ["the green cup", "the red ring"]
    assert draw("cup", but=("dog",)) == []


def test_at_most_so_many_different_ones_each_as_often():
    counts: dict[str, int] = {}
    index = OneWordApart(PHRASES)
    rng = np.random.default_rng(0)
    for _ in range(400):
        drawn = index.draw("the red cup", 2, but=(), rng=rng)
        assert len(set(drawn)) == 2
        for phrase in drawn:
            counts[phrase] = counts.get(phrase, 0) + 1
    assert len(counts) == 4 and all(150 < count < 250 for count in counts.values())
    assert draw("the red cup", 0) == []


def test_the_same_again_whatever_order_the_phrases_came_in():
    backwards = OneWordApart(reversed(PHRASES))
    for seed in range(5):
        rng = np.random.default_rng(seed)
        assert backwards.draw("the red cup", 2, but=(), rng=rng) == draw("the red cup", 2, seed=seed)


@pytest.mark.parametrize("same", ["a red cup", "The red cup", "the red cup.", "the RED cup"])
def test_what_says_the_same_is_never_wrong(same):
    """Another article, capital or full stop makes no other meaning, neither of the phrase nor of one to leave out."""
    index = OneWordApart([*PHRASES, same])
    for phrase, but in (("the red cup", ()), (same, ()), ("the blue cup", ("the red cup",)), ("the blue cup", (same,))):
        found = index.draw(phrase, 100, but=but, rng=np.random.default_rng(0))
        assert not {same, "the red cup"}.intersection(found), (phrase, but)
    assert "the blue cup" in index.draw("the red cup", 100, but=(), rng=np.random.default_rng(0))


def test_a_word_that_looks_like_the_gap_or_stands_twice():
    index = OneWordApart(["cup by cup", "cup by ring", "ring by cup", "dog by dog"])
    found = index.draw("cup by cup", 100, but=(), rng=np.random.default_rng(0))
    assert sorted(found) == ["cup by ring", "ring by cup"]
