"""Phrases as CLIP's text tower sees them, each distinct phrase encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from clip.model import CLIP
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from grounding.clip_backbone import encode_tokens, tokenize

BATCH_SIZE = 256


@dataclass(frozen=True)
class PhraseFeatures:
    """P phrases, as wholes and word by word.

    Attributes:
        embeddings: (P, E) float32 in CLIP's joint space, L2-normalised.
        states: (P, L, W) float32, the text tower's output at each token, from the start token to the end token;
            zero after the end.
        is_token: (P, L) bool, False after the end.
    """

    embeddings: Tensor
    states: Tensor
    is_token: Tensor


class TextEncoder:
    """CLIP's text tower with a memory: a phrase asked for again is looked up.

    Args:
        model: the frozen CLIP whose text tower is used.
    """

    def __init__(self, model: CLIP) -> None:
        self._model = model
        self._known: dict[str, tuple[Tensor, Tensor]] = {}

    @property
    def device(self) -> torch.device:
        """Where the text tower is."""
        return self._model.text_projection.device

    @property
    def width(self) -> int:
        """W of the states."""
        return int(self._model.text_projection.shape[0])

    @torch.no_grad()
    def __call__(self, phrases: Sequence[str]) -> PhraseFeatures:
        """The features of N phrases, at least one, on the model's device.

        Raises:
            InputError: a phrase is empty or longer than CLIP's 77 tokens.
        """
        new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self._known]
        if new:
            tokens = tokenize(new)
            ends = tokens.argmax(dim=-1)
            # Phrases of like length go together, so that each batch runs the tower no further than it needs.
            for batch in ends.argsort(stable=True).split(BATCH_SIZE):
                embeddings, states = encode_tokens(self._model, tokens[batch].to(self.device))
                embeddings = F.normalize(embeddings, dim=-1)
                for row, index in enumerate(batch.tolist()):
                    self._known[new[index]] = embeddings[row], states[row, : ends[index] + 1].clone()
        known = [self._known[phrase] for phrase in phrases]
        lengths = torch.tensor([len(states) for _, states in known])
        return PhraseFeatures(
            embeddings=torch.stack([embedding for embedding, _ in known]),
            states=pad_sequence([states for _, states in known], batch_first=True),
            is_token=(torch.arange(int(lengths.max())) < lengths[:, None]).to(self.device),
        )
