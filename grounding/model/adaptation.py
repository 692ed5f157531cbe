"""CLIP's embeddings and weights, corrected by small learned terms while CLIP itself stays as it is.

Every correction starts at zero: what is adapted begins as CLIP's own, and leaving the corrections out gives this back.
"""

from __future__ import annotations

import math
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grounding.clip.dense import DenseCLIP, DenseFeatures
from grounding.clip.similarity import similarity_of
from grounding.clip.text import PhraseFeatures

STAGE = "layer4"  # whose features the attention pool's projections have dropped a part of
SHARPNESS = 15.0  # at the start
UPDATED_STAGES = ("layer3", "layer4")  # the last ones: what comes before is general, and its gradients dear


class RegionAdapter(nn.Module):
    """A residual on the dense embeddings, made from the features of a stage (Gao et al. 2021, "CLIP-Adapter", 3.2).

    CLIP-Adapter corrects an embedding by a function of that embedding; the stage's features still hold what the
    attention pool's projections dropped.
    """

    def __init__(self, channels: int, embed_dim: int) -> None:
        super().__init__()
        self.correction = nn.Conv2d(channels, embed_dim, 1, bias=False)
        nn.init.zeros_(self.correction.weight)

    def forward(self, embeddings: Tensor, stage: Tensor) -> Tensor:
        """(B, E, h, w) L2-normalised embeddings and (B, C, h, w) features to (B, E, h, w), L2-normalised."""
        return F.normalize(embeddings + self.correction(stage), dim=1)


class EmbeddingAdapters(nn.Module):
    """Residual adapters of both of CLIP's embeddings, dense and of phrases: what can be learned without any box.

    A position's correction sees its neighbours too: what an object is shows beyond a single cell. How sharply positions
    are told apart by their cosines, `log_sharpness` to the base e, is learned by `training.contrast`.
    """

    def __init__(self, embed_dim: int, channels: int, *, hidden: int = 128) -> None:
        super().__init__()
        to_regions, to_phrases = nn.Conv2d(hidden, embed_dim, 1), nn.Linear(2 * hidden, embed_dim)
        for last in (to_regions, to_phrases):
            nn.init.zeros_(last.weight)
            nn.init.zeros_(cast(Tensor, last.bias))
        self.regions = nn.Sequential(
            nn.Conv2d(embed_dim + channels, hidden, 1),
            nn.GELU(),
            nn.Conv2d(hidden, hidden, 3, padding=1, groups=hidden),
            nn.GELU(),
            to_regions,
        )
        self.phrases = nn.Sequential(nn.Linear(embed_dim, 2 * hidden), nn.GELU(), to_phrases)
        self.log_sharpness = nn.Parameter(torch.tensor(math.log(SHARPNESS)))

    def region_embeddings(self, features: DenseFeatures) -> Tensor:
        """(B, E, h, w) L2-normalised: CLIP's dense embeddings, corrected."""
        embeddings, stage = features.embeddings, features.pyramid[STAGE]
        # To the embeddings' size. Without a learned scale, which the convolution after it has anyway.
        correction = self.regions(torch.cat([embeddings, F.group_norm(stage, 1)], dim=1))
        return F.normalize(embeddings + correction, dim=1)

    def phrase_embeddings(self, embeddings: Tensor) -> Tensor:
        """(P, E) L2-normalised to (P, E), L2-normalised: CLIP's phrase embeddings, corrected."""
        return F.normalize(embeddings + self.phrases(embeddings), dim=-1)

    def forward(self, features: DenseFeatures, phrases: PhraseFeatures, image_index: Tensor) -> Tensor:
        """(P, h, w) in [-1, 1]: similarity maps of P phrases, each about image `image_index` of the B."""
        return similarity_of(self.region_embeddings(features), self.phrase_embeddings(phrases.embeddings), image_index)


class LowRankUpdates(nn.Module):
    """What is added to the convolutions of CLIP's last stages; nothing, before training.

    Hu et al. 2022, "LoRA: Low-Rank Adaptation of Large Language Models", section 4.1, on convolutions: a kernel
    (O, I, k, k) is taken for a matrix of O rows, and the update of it is a product of two thin ones.
    """

    def __init__(self, dense: DenseCLIP, *, rank: int) -> None:
        super().__init__()
        self._shapes: dict[str, torch.Size] = {}
        self.down, self.up = nn.ParameterDict(), nn.ParameterDict()
        for stage in UPDATED_STAGES:
            for name, module in getattr(dense.visual, stage).named_modules():
                if isinstance(module, nn.Conv2d):
                    shape = module.weight.shape
                    key = f"{stage}.{name}".replace(".", "/")  # a module's name holds no dot
                    self._shapes[key] = shape
                    inputs = math.prod(shape[1:])
                    self.down[key] = nn.Parameter(torch.randn(rank, inputs) / inputs**0.5)
                    self.up[key] = nn.Parameter(torch.zeros(shape[0], rank))

    def forward(self) -> dict[str, Tensor]:
        """Name of a convolution's weight in the image tower -> (O, I, k, k) what is added to it."""
        return {
            f"{key.replace('/', '.')}.weight": (self.up[key] @ self.down[key]).view(shape)
            for key, shape in self._shapes.items()
        }
