"""Phrases as CLIP's text tower sees them, each distinct phrase encoded once."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from tqdm import tqdm

from grounding.clip.backbone import CLIP, TOKENIZER, LoadedCLIP, Transformer
from grounding.clip.precision import own_mode
from grounding.runtime.errors import InputError, writable
from grounding.runtime.lru_cache import LRUCache

CONTEXT_LENGTH = 77
MAX_CHARACTERS = 10_000  # of a phrase: more are never 77 tokens, and take seconds to be found so
START, END = (TOKENIZER.encoder[mark] for mark in ("<|startoftext|>", "<|endoftext|>"))
JOINERS = "\u200c\u200d"  # which letters and emoji are written with
BATCH_SIZE = 256
BUDGET = 2**26  # bytes of phrases asked in passing: some thousands
MANY_BATCHES = 20


def as_phrases(phrases: Sequence[str]) -> list[str]:
    """The phrases as a list; InputError for a single string, no sequence, or what is no text, such as an empty cell."""
    if isinstance(phrases, str):
        raise InputError(f"phrases is the single string {phrases!r}: put it into a list")
    if not isinstance(phrases, Iterable):
        raise InputError(f"phrases is {phrases!r}: give a list of texts")
    phrases = list(phrases)
    for number, phrase in enumerate(phrases):
        if not isinstance(phrase, str):
            raise InputError(f"phrases[{number}] is {phrase!r}, which is no text: say in a few words what to look for")
    return [str(phrase) for phrase in phrases]  # NumPy has texts of its own


@dataclass(frozen=True, eq=False)
class PhraseFeatures:
    """P phrases, as wholes and token by token.

    Embeddings are (P, E) float32 in CLIP's joint space, L2-normalised. Tokens are (P, L, 2 W) float32, from the start
    token to the end token and zero after it, where `is_token` is False: the token's own vector, normalised, and the
    text tower's output there, which knows the tokens before it.
    """

    embeddings: Tensor
    tokens: Tensor
    is_token: Tensor


class EncodedPhrase(NamedTuple):
    """What is kept of a phrase: token ids, on the CPU, its embedding, and the tower's output in half precision."""

    ids: Tensor
    embedding: Tensor
    states: Tensor


class TextEncoder:
    """CLIP's text tower with a memory: a phrase asked for again is looked up.

    Phrases asked in passing are forgotten, the least recently used first, where they take more than `BUDGET` bytes;
    those given to `remember` are not.
    """

    def __init__(self, clip: LoadedCLIP) -> None:
        self._clip = clip
        self._model = clip.model
        self._remembered: dict[str, EncodedPhrase] = {}
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
        """The features of P phrases, at least one, on the model's device; InputError as for `tokenize`."""
        recalled = {phrase: self._remembered.get(phrase) or self._in_passing.get(phrase) for phrase in phrases}
        new = self._encoded([phrase for phrase, one in recalled.items() if one is None])
        for phrase, one in new.items():
            self._in_passing.put(phrase, one, sum(each.nbytes for each in one))
        encoded = [recalled[phrase] or new[phrase] for phrase in phrases]

        lengths = [len(one.ids) for one in encoded]
        is_token = torch.arange(max(lengths), device=self.device) < torch.tensor(lengths, device=self.device)[:, None]
        ids = pad_sequence([one.ids for one in encoded], batch_first=True).to(self.device)
        words = self._model.token_embedding(ids)
        words = F.layer_norm(words, words.shape[-1:]) * is_token[..., None]
        states = pad_sequence([one.states for one in encoded], batch_first=True).float()
        embeddings = torch.stack([one.embedding for one in encoded])
        return PhraseFeatures(embeddings, torch.cat([words, states], dim=-1), is_token)

    def remember(self, phrases: Sequence[str]) -> None:
        """Encode phrases for good, each distinct and unknown one once; none where one is refused."""
        new = [phrase for phrase in dict.fromkeys(phrases) if phrase not in self._remembered]
        self._remembered.update(self._encoded(new))

    def forget(self) -> None:
        """Drop the phrases asked in passing: what is asked next then depends on nothing that was asked before."""
        self._in_passing.clear()

    @own_mode()  # what is remembered must not depend on whether a training loop asked in half precision
    def _encoded(self, phrases: list[str]) -> dict[str, EncodedPhrase]:
        """Distinct phrases, or none, through the text tower; with a progress bar where it takes long."""
        encoded: dict[str, EncodedPhrase] = {}
        if not phrases:
            return encoded
        ids = tokenize(phrases)
        lengths = (ids.argmax(dim=-1) + 1).tolist()
        # Phrases of like length go together, so that each batch runs the tower no further than it needs.
        order = sorted(range(len(phrases)), key=lengths.__getitem__)
        starts = range(0, len(order), BATCH_SIZE)
        for start in tqdm(starts, desc="encoding phrases", leave=False, disable=len(starts) < MANY_BATCHES):
            batch = order[start : start + BATCH_SIZE]
            tokens = ids[batch, : lengths[batch[-1]]].to(self.device)
            embeddings, states = text_states(self._model, tokens, transformer=self._clip.text_transformer)
            embeddings = F.normalize(embeddings, dim=-1)
            for row, index in enumerate(batch):
                length = lengths[index]
                # Copies: a view would keep its whole batch alive.
                encoded[phrases[index]] = EncodedPhrase(
                    ids[index, :length].clone(), embeddings[row].clone(), states[row, :length].half()
                )
        return encoded


def tokenize(phrases: Sequence[str]) -> Tensor:
    """Token ids (N, L) int64 of N >= 1 phrases, L of the longest and at most 77: `clip.tokenize`'s, zero after the end
    token, less columns of zeros."""
    return pad_sequence([torch.tensor([START, *_word_ids(phrase), END]) for phrase in phrases], batch_first=True)


def _word_ids(phrase: str) -> list[int]:
    """Ids of the tokens between the start and the end token."""
    named = repr(phrase if len(phrase) <= 60 else f"{phrase[:60]}...")
    if writable(phrase) != phrase:
        raise InputError(f"the phrase {named} holds half a character: give it as whole Unicode text")
    # What takes no place, such as a zero-width space, is nothing that the writer saw.
    seen = "".join(letter for letter in phrase if letter in JOINERS or unicodedata.category(letter) != "Cf")
    ids: list[int] = TOKENIZER.encode(seen) if len(phrase) <= MAX_CHARACTERS else [0] * CONTEXT_LENGTH
    if len(ids) + 2 > CONTEXT_LENGTH:
        raise InputError(f"the phrase {named} is longer than CLIP's {CONTEXT_LENGTH} tokens: shorten it")
    if START in ids or END in ids:
        raise InputError(
            f"the phrase {named} holds <|startoftext|> or <|endoftext|>, where CLIP's text begins and ends: leave it "
            "out"
        )
    if not ids:
        raise InputError(f"the phrase is empty ({named}): say in a few words what to look for")
    return ids


def text_states(model: CLIP, tokens: Tensor, *, transformer: Transformer | None = None) -> tuple[Tensor, Tensor]:
    """The text tower, whose steps depend on no value of a token.

    It is causal: a position sees only those before it, and CLIP reads the phrase at its end token. What follows the
    longest phrase's can therefore be left out without changing the result.

    Of tokens (N, L) int64, L at most 77, it gives (N, E) float32 embeddings, not normalised, and (N, L, W) the states
    that it ends with at each token. A `transformer` takes the place of the model's own.
    """
    length = tokens.shape[1]
    x = model.token_embedding(tokens) + model.positional_embedding[:length]
    blocks = (transformer or model.transformer).resblocks
    mask = blocks[0].attn_mask[:length, :length]
    x = x.permute(1, 0, 2).to(blocks[0].mlp.c_fc.weight.dtype)  # the transformer takes (length, N, width)
    for block in blocks:
        attended = block.ln_1(x)
        x = x + block.attn(attended, attended, attended, need_weights=False, attn_mask=mask.to(x))[0]
        x = x + block.mlp(block.ln_2(x))
    states = model.ln_final(x.permute(1, 0, 2).float())
    ends = tokens.argmax(dim=-1)
    return states[torch.arange(states.shape[0], device=states.device), ends] @ model.text_projection, states
