"""Phrases as CLIP's text tower sees them, each distinct phrase encoded once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from grounding.clip.backbone import LoadedCLIP, encode_tokens, tokenize
from grounding.errors import InputError
from grounding.runtime.lru_cache import LRUCache

BATCH_SIZE = 256
BUDGET = 2**26  # bytes of phrases asked in passing: some thousands
MANY_BATCHES = 20


def as_phrases(phrases: Sequence[str]) -> list[str]:
    """The phrases as a list.

    Raises:
        InputError: it is a single string, whose letters would be taken for phrases.
    """
    if isinstance(phrases, str):
        raise InputError(f"phrases is the single string {phrases!r}: put it into a list")
    return list(phrases)


@dataclass(frozen=True)
class PhraseFeatures:
    """P phrases, as wholes and token by token.

    Attributes:
        embeddings: (P, E) float32 in CLIP's joint space, L2-normalised.
        tokens: (P, L, 2 W) float32, from the start token to the end token and zero after it: the token's own vector,
            normalised, and the text tower's output there, which knows the tokens before it.
        is_token: (P, L) bool, False after the end token.
    """

    embeddings: Tensor
    tokens: Tensor
    is_token: Tensor

    def __getitem__(self, chosen: Tensor) -> PhraseFeatures:
        """Those of some of the phrases, by index."""
        return PhraseFeatures(self.embeddings[chosen], self.tokens[chosen], self.is_token[chosen])


@dataclass(frozen=True)
class _Encoded:
    """What is kept of a phrase: token ids, its embedding, and the tower's output in half precision, for its size."""

    ids: Tensor
    embedding: Tensor
    states: Tensor

    @property
    def nbytes(self) -> int:
        """Bytes that it takes."""
        return self.ids.nbytes + self.embedding.nbytes + self.states.nbytes


class TextEncoder:
    """CLIP's text tower with a memory: a phrase asked for again is looked up.

    Phrases asked in passing are forgotten, the least recently used first, where they take more than `BUDGET` bytes;
    those given to `remember` are not.

    Args:
        clip: the frozen CLIP whose text tower is used.
    """

    def __init__(self, clip: LoadedCLIP) -> None:
        self._clip = clip
        self._model = clip.model
        self._remembered: dict[str, _Encoded] = {}
        self._in_passing = LRUCache(BUDGET)

    @property
    def device(self) -> torch.device:
        """Where the text tower is."""
        return self._model.text_projection.device

    @property
    def token_width(self) -> int:
        """2 W of `PhraseFeatures.tokens`."""
        return 2 * int(self._model.text_projection.shape[0])

    def __call__(self, phrases: Sequence[str]) -> PhraseFeatures:
        """The features of P phrases, at least one, on the model's device.

        Raises:
            InputError: a phrase is empty or longer than CLIP's 77 tokens.
        """
        recalled = {phrase: self._recalled(phrase) for phrase in phrases}
        new = self._encoded([phrase for phrase, one in recalled.items() if one is None])
        for phrase, one in new.items():
            self._in_passing.put(phrase, one, one.nbytes)
        known = [recalled[phrase] or new[phrase] for phrase in phrases]
        lengths = torch.tensor([len(one.ids) for one in known], device=self.device)
        is_token = torch.arange(int(lengths.max()), device=self.device) < lengths[:, None]
        words = self._model.token_embedding(pad_sequence([one.ids for one in known], batch_first=True))
        words = F.layer_norm(words, words.shape[-1:]) * is_token[..., None]
        states = pad_sequence([one.states for one in known], batch_first=True).float()
        return PhraseFeatures(
            embeddings=torch.stack([one.embedding for one in known]),
            tokens=torch.cat([words, states], dim=-1),
            is_token=is_token,
        )

    def remember(self, phrases: Sequence[str]) -> None:
        """Encode phrases for good, each distinct and unknown one once; with a progress bar where it takes long.

        Raises:
            InputError: a phrase is empty or longer than CLIP's 77 tokens; then none is remembered.
        """
        new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self._remembered]
        self._remembered.update(self._encoded(new))

    def forget(self) -> None:
        """Drop the phrases asked in passing: what is asked next then depends on nothing that was asked before."""
        self._in_passing.clear()

    def _recalled(self, phrase: str) -> _Encoded | None:
        return self._remembered.get(phrase) or self._in_passing.get(phrase)

    @torch.no_grad()
    def _encoded(self, new: list[str]) -> dict[str, _Encoded]:
        """Distinct phrases through the text tower."""
        encoded: dict[str, _Encoded] = {}
        if not new:
            return encoded
        ids = tokenize(new)
        lengths = ids.argmax(dim=-1) + 1
        # Phrases of like length go together, so that each batch runs the tower no further than it needs.
        batches = lengths.argsort(stable=True).split(BATCH_SIZE)
        for batch in tqdm(batches, desc="encoding phrases", leave=False, disable=len(batches) < MANY_BATCHES):
            batch_ids = ids[batch].to(self.device)
            # What is remembered must not depend on whether a training loop happened to ask in half precision.
            with torch.autocast(self.device.type, enabled=False):
                embeddings, states = encode_tokens(self._model, batch_ids, transformer=self._clip.text_transformer)
            embeddings = F.normalize(embeddings, dim=-1)
            for row, index in enumerate(batch.tolist()):
                length = int(lengths[index])
                # Copies: a view would keep its whole batch alive.
                encoded[new[index]] = _Encoded(
                    batch_ids[row, :length].clone(), embeddings[row].clone(), states[row, :length].half()
                )
        return encoded
