"""Phrases that differ in one word: "the red ring" and "the blue ring", as hard negatives for each other.

Which words stand for each other ("red" and "blue", "man" and "woman") is read off the phrases themselves: they are
what people wrote in the same place of the same words. So every phrase found is one that somebody wrote. Two phrases
that differ in an article, in capitals or in punctuation say the same.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable

import numpy as np

GAP = "\0"  # stands where the word was
ARTICLES = {"a", "an", "the"}


class OneWordApart:
    """An index of phrases by what is left when one word is taken out.

    Args:
        phrases: to find.
    """

    def __init__(self, phrases: Iterable[str]) -> None:
        fillers: dict[str, set[str]] = defaultdict(set)
        for phrase in phrases:
            for frame, word in _frames(phrase):
                fillers[frame].add(word)
        self._fillers = {frame: tuple(sorted(words)) for frame, words in fillers.items() if len(words) > 1}

    def draw(self, phrase: str, count: int, *, but: Collection[str], rng: np.random.Generator) -> list[str]:
        """At most `count` phrases one word apart from `phrase`, at random; none says what one in `but` says."""
        found = {frame.replace(GAP, word) for frame, _ in _frames(phrase) for word in self._fillers.get(frame, ())}
        said = {_meaning(each) for each in (phrase, *but)}
        candidates = sorted(each for each in found if _meaning(each) not in said)
        return [candidates[i] for i in rng.permutation(len(candidates))[:count]]


def _frames(phrase: str) -> list[tuple[str, str]]:
    """(the phrase with a gap for one word, that word), for every word."""
    words = phrase.split(" ")
    return [(" ".join([*words[:i], GAP, *words[i + 1 :]]), word) for i, word in enumerate(words)]


def _meaning(phrase: str) -> tuple[str, ...]:
    """The words that matter."""
    return tuple(word for word in re.findall(r"\w+", phrase.lower()) if word not in ARTICLES)
