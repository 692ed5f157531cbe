"""Similarity maps of phrases and images, and weighted pooling of dense embeddings.

Every phrase is multiplied with every image of the batch and the pairs that nobody asked for are dropped: one product of
matrices costs less than a copy of an image's embeddings for each of its phrases.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def similarity_of(embeddings: Tensor, phrases: Tensor, image_index: Tensor) -> Tensor:
    """Similarity maps (P, h, w) in [-1, 1]: the cosine of each phrase with every position of its image.

    Dense embeddings, (B, E, h, w), and phrases, (P, E), are L2-normalised; `image_index` is (P,) int64.
    """
    return gather_own_image(torch.einsum("behw,pe->pbhw", embeddings, phrases), image_index)


def pool(embeddings: Tensor, weights: Tensor, image_index: Tensor) -> Tensor:
    """(P, E) the weighted mean embedding of each of P maps, L2-normalised; where all weights are 0, zeros.

    The weights, (P, H, W) >= 0, have H and W multiples of h and w of the embeddings by the same factor.
    """
    factor = weights.shape[-1] // embeddings.shape[-1]
    coarse = F.avg_pool2d(weights[:, None], factor)[:, 0]
    return F.normalize(gather_own_image(torch.einsum("behw,phw->pbe", embeddings, coarse), image_index), dim=-1)


def gather_own_image(of_all_images: Tensor, image_index: Tensor) -> Tensor:
    """(P, B, ...) values of P phrases with every one of B images to (P, ...): those with each phrase's own image."""
    return of_all_images[torch.arange(image_index.shape[0], device=image_index.device), image_index]


def soft_maximum(similarity: Tensor, valid: Tensor, sharpness: Tensor) -> Tensor:
    """Log-sum-exp pooling of similarity maps (Pinheiro and Collobert 2015, "From Image-level to Pixel-level Labeling
    with Convolutional Networks", section 3.2).

    Maps are (..., h, w); `valid`, bool, may have fewer leading dimensions, and is somewhere True in each. `sharpness`
    is above 0: towards 0 the mean over the valid positions results, towards infinity their maximum.
    """
    inside = valid.flatten(-2)
    logits = (sharpness * similarity.flatten(-2)).masked_fill(~inside, -torch.inf)
    return (logits.logsumexp(dim=-1) - inside.sum(dim=-1).to(similarity.dtype).log()) / sharpness


def min_max_normalize(similarity: Tensor, valid: Tensor) -> Tensor:
    """Similarity maps stretched so that the valid positions of each span [0, 1]; padding becomes 0.

    The band in which CLIP's cosines lie differs between phrases: without this, one threshold could not serve two of
    them. A map that is constant becomes 0; each, (P, h, w), has to have a valid position.
    """
    low = similarity.masked_fill(~valid, torch.inf).amin(dim=(1, 2), keepdim=True)
    high = similarity.masked_fill(~valid, -torch.inf).amax(dim=(1, 2), keepdim=True)
    stretched = (similarity - low) / (high - low).clamp(min=1e-6)
    return stretched.clamp(0, 1) * valid
