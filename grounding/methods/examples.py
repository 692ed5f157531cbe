"""A method and a data set's examples: of an example it sees the image and the phrases, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence

from grounding.data.dataset import naming_sentences
from grounding.methods.dense import Grounder
from grounding.types import Example, Grounding, SetExample


def ground_examples(grounder: Grounder, examples: Sequence[Example] | Sequence[SetExample]) -> list[list[Grounding]]:
    """Per example, one answer per expression.

    Raises:
        InputError: a phrase cannot be read; it names the phrase's sent_id.
    """
    with naming_sentences(expression for example in examples for expression in example.expressions):
        return grounder.ground_batch([each.image for each in examples], [each.phrases for each in examples])
