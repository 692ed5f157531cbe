"""What a decoder is built of: a reader of phrases, blocks that they modulate, the presence head, operations on maps."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grounding.clip.text import PhraseFeatures
from grounding.runtime.errors import SettingsError

HEADS = 4  # of the phrase reader's transformer


class PhraseReader(nn.Module):
    """From a phrase's features to query vectors for the image and one vector that sums the phrase up.

    CLIP's phrase embedding says what a phrase mentions, and little of who does what to whom: "the star left of the
    ring" and "the ring left of the star" lie close together (Yuksekgonul et al. 2023, "When and why vision-language
    models behave like bags-of-words", section 2). The token states still hold it, and a small transformer reads them.
    """

    def __init__(self, *, embed_dim: int, token_width: int, queries: int, dim: int, layers: int) -> None:
        super().__init__()
        if dim % HEADS:
            raise SettingsError(f"decoder.query_dim is {dim}: give a multiple of {HEADS}")
        self.from_embedding = nn.Linear(embed_dim, dim)
        self.from_tokens = nn.Sequential(nn.LayerNorm(token_width), nn.Linear(token_width, dim))
        self.slots = nn.Parameter(torch.randn(queries, dim) / dim**0.5)
        layer = nn.TransformerEncoderLayer(
            dim, HEADS, dim_feedforward=2 * dim, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
        )
        self.transformer = nn.TransformerEncoder(layer, layers, norm=nn.LayerNorm(dim), enable_nested_tensor=False)

    def forward(self, phrases: PhraseFeatures) -> tuple[Tensor, Tensor]:
        """Query vectors (P, Q, D) and summaries (P, D) of P phrases."""
        count, queries = phrases.embeddings.shape[0], len(self.slots)
        summary = self.from_embedding(phrases.embeddings)[:, None]
        x = torch.cat([summary, self.slots.expand(count, -1, -1), self.from_tokens(phrases.tokens)], dim=1)
        own = phrases.is_token.new_ones(count, 1 + queries)
        x = self.transformer(x, src_key_padding_mask=~torch.cat([own, phrases.is_token], dim=1))
        return x[:, 1 : 1 + queries], x[:, 0]


class ModulatedBlock(nn.Module):
    """A residual depthwise-separable block whose channels the phrase scales and shifts."""

    def __init__(self, width: int, phrase_dim: int, *, kernel_size: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, kernel_size, padding=kernel_size // 2, groups=width)
        self.norm = nn.GroupNorm(1, width)
        self.modulation = nn.Linear(phrase_dim, 2 * width)
        self.expand = nn.Conv2d(width, 2 * width, 1)
        self.project = nn.Conv2d(2 * width, width, 1)

    def forward(self, x: Tensor, summary: Tensor) -> Tensor:
        """(P, C, h, w) and (P, D) phrase summaries to (P, C, h, w)."""
        scale, shift = self.modulation(summary)[..., None, None].chunk(2, dim=1)
        out = torch.addcmul(shift, self.norm(self.depthwise(x)), 1 + scale)
        return x + self.project(gelu(self.expand(out)))


class PresenceHead(nn.Module):
    """Whether what a phrase names is in the image at all, by what it finds where it finds most."""

    def __init__(self, width: int, phrase_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width + phrase_dim, phrase_dim), nn.GELU(), nn.Linear(phrase_dim, 1))

    def forward(self, x: Tensor, summary: Tensor, valid: Tensor) -> Tensor:
        """(P,) logits of what is found, (P, C, h, w), and the phrases' summaries, (P, D).

        `valid`, (P, H, W) bool, False on padding, has H and W multiples of h and w by one factor. A position counts
        that is valid in part, and in each map some does.
        """
        own = F.max_pool2d(valid[:, None].float(), valid.shape[-1] // x.shape[-1]) > 0
        most = x.masked_fill(~own, -torch.inf).amax(dim=(2, 3))
        return self.layers(torch.cat([most, summary], dim=1))[:, 0]


def gelu(x: Tensor) -> Tensor:
    """GELU; of a map that nothing else needs, so that without gradients it takes no memory, which costs more time."""
    return F.gelu(x) if torch.is_grad_enabled() else torch.ops.aten.gelu_(x)


def expand_to_phrases(x: Tensor, image_index: Tensor) -> Tensor:
    """(B, ...) of images to (P, ...) of their phrases; a single image's (1, ...) is left to broadcasting."""
    # Not x[image_index]: its gradient adds up the phrases of an image in an order that depends on threads.
    return x if x.shape[0] == 1 else x.index_select(0, image_index)


def coordinates(x: Tensor) -> Tensor:
    """(B, 2, h, w): column and row of every position, from -1 to 1."""
    rows, columns = (_evenly_spaced(count, like=x) for count in x.shape[2:])
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"))
    # In the layout of the features beside which they are put: a mixture of layouts is slow to concatenate.
    return grid.expand(x.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)


def _evenly_spaced(count: int, *, like: Tensor) -> Tensor:
    """(count,) from -1 to 1. Not `torch.linspace`, which the export to ONNX can trace for one count only."""
    steps = torch.arange(count, device=like.device)
    return ((2 * steps + 1 - count).float() / max(count - 1, 1)).to(like.dtype)


def upsampled(x: Tensor, like: Tensor) -> Tensor:
    """(P, C, h, w) at the size of another map, bilinear."""
    return F.interpolate(x, size=like.shape[-2:], mode="bilinear", align_corners=False)
