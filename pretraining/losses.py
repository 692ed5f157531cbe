"""The losses of the embedded CLIP's pretraining: words first, then contrast of images and their positions."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from clip.model import CLIP, AttentionPool2d
from torch import Tensor, nn

from grounding.clip.backbone import normalise_pixels
from grounding.clip.dense import resnet_stages
from grounding.clip.text import text_states, tokenize
from grounding.data.refshapes.vocabulary import ADJECTIVES, NOUNS


@dataclass(frozen=True)
class PretrainingBatch:
    """N pairs: images (N, 3, S, S) uint8, tokens (N, L), and (N, N) bool, which images show what captions mention."""

    images: Tensor
    tokens: Tensor
    mentioned: Tensor


class WordPrediction(nn.Module):
    """Which words of its caption an image's last feature map predicts: a start for the trunk, thrown away afterwards.

    The contrast alone tells this small trunk of colours soon and of shapes very late. Joulin et al. 2016, "Learning
    Visual Features from Large Weakly Supervised Data"; CLIP's authors set out from it (section 2.3).

    Args:
        channels: of the feature map.
    """

    ids: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        words = [word for group in (*NOUNS.values(), *ADJECTIVES.values()) for word in group]
        tokens = tokenize(words)
        ends = {0, int(tokens[0, 0]), int(tokens.max())}  # padding, start and end
        ids = sorted(set(tokens.flatten().tolist()) - ends)
        self.register_buffer("ids", torch.tensor(ids), persistent=False)
        self.linear = nn.Linear(channels, len(ids))

    def forward(self, features: Tensor, tokens: Tensor) -> Tensor:
        """() cross-entropy between a caption's words, each as likely, and those that mean and positions predict.

        Args:
            features: (N, C, h, w).
            tokens: (N, L) of the captions.
        """
        wanted = (tokens[:, :, None] == self.ids).any(dim=1).float()
        wanted = wanted / wanted.sum(dim=1, keepdim=True).clamp(min=1)
        of_mean = self.linear(features.mean(dim=(2, 3)))
        of_best = self.linear(features.flatten(2).mT).logsumexp(dim=1)
        return F.cross_entropy(of_mean, wanted) + F.cross_entropy(of_best, wanted)


def symmetric_infonce(logits: Tensor, also_true: Tensor) -> Tensor:
    """Symmetric InfoNCE in which a pair that is true but not the drawn one is no negative.

    Args:
        logits: (N, N), image i against text j; text i was drawn for image i.
        also_true: (N, N) bool; entry [i, j] says that text j may be true of image i.

    Returns:
        () mean loss of both directions.
    """
    own = torch.eye(len(logits), dtype=torch.bool, device=logits.device)
    logits = logits.masked_fill(also_true & ~own, -torch.inf)
    target = torch.arange(len(logits), device=logits.device)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def word_loss(model: CLIP, words: WordPrediction, batch: PretrainingBatch) -> Tensor:
    """() of the first stage: which words of the captions the trunk's last feature map predicts."""
    return words(_last_stage(model, batch), batch.tokens)


def dense_embeddings(attnpool: AttentionPool2d, features: Tensor) -> Tensor:
    """Value and output projection of the attention pool, position by position: what `DenseCLIP` has frozen in one.

    Args:
        attnpool: CLIP's attention pool; its positional embedding plays no part.
        features: (B, C, h, w) output of the last stage.

    Returns:
        (B, E, h, w) float32, L2-normalised along E.
    """
    x = features.permute(0, 2, 3, 1)  # (B, h, w, C)
    x = attnpool.c_proj(attnpool.v_proj(x))
    return F.normalize(x.float(), dim=-1).permute(0, 3, 1, 2)


def contrast_loss(model: CLIP, words: WordPrediction, batch: PretrainingBatch) -> Tensor:
    """() of the second stage: images and their best positions against captions, and the words still."""
    layer4 = _last_stage(model, batch)
    texts = F.normalize(text_states(model, batch.tokens)[0], dim=-1)
    scale = model.logit_scale.exp()
    images = F.normalize(model.visual.attnpool(layer4), dim=-1)
    positions = dense_embeddings(model.visual.attnpool, layer4).flatten(2)  # (N, E, h * w)
    similarity = scale * torch.einsum("iep,je->ijp", positions, texts)
    pooled = similarity.logsumexp(dim=-1) - math.log(similarity.shape[-1])
    return (
        symmetric_infonce(scale * images @ texts.T, batch.mentioned)
        + symmetric_infonce(pooled, batch.mentioned)
        + words(layer4, batch.tokens)
    )


def _last_stage(model: CLIP, batch: PretrainingBatch) -> Tensor:
    """(N, C, S / 32, S / 32)."""
    pixels = normalise_pixels(batch.images).contiguous(memory_format=torch.channels_last)
    return resnet_stages(model.visual, pixels, output_stride=32)["layer4"]
