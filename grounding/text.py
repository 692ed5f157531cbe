"""Phrase embeddings, each distinct phrase encoded once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from clip.model import CLIP
from torch import Tensor

from grounding.clip_backbone import encode_tokens, tokenize

BATCH_SIZE = 256


class TextEncoder:
    """CLIP's text tower with a memory: a phrase asked for again is looked up.

    Args:
        model: the frozen CLIP whose text tower is used.
    """

    def __init__(self, model: CLIP) -> None:
        self._model = model
        self._embeddings: dict[str, Tensor] = {}

    @property
    def device(self) -> torch.device:
        """Where the text tower is."""
        return self._model.text_projection.device

    @torch.no_grad()
    def __call__(self, phrases: Sequence[str]) -> Tensor:
        """(N, E) float32 L2-normalised embeddings of N phrases, on the model's device.

        Raises:
            InputError: a phrase is empty or longer than CLIP's 77 tokens.
        """
        new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self._embeddings]
        if new:
            tokens = tokenize(new)
            # Phrases of like length go together, so that each batch runs the tower no further than it needs.
            order = tokens.argmax(dim=-1).argsort(stable=True)
            for batch in order.split(BATCH_SIZE):
                embeddings = encode_tokens(self._model, tokens[batch].to(self.device))
                for index, embedding in zip(batch.tolist(), F.normalize(embeddings, dim=-1), strict=True):
                    self._embeddings[new[index]] = embedding
        return torch.stack([self._embeddings[phrase] for phrase in phrases])
