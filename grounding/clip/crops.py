"""CLIP's global embedding of regions: each box cut out of its image, resized and encoded."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from kornia.geometry.transform import crop_and_resize
from torch import Tensor

from grounding.clip.backbone import ModifiedResNet, normalise_pixels
from grounding.clip.precision import own_mode

BATCH_SIZE = 32
# Side of the square crop over the box's longer side. A squashed crop turns a diamond into a square, and CLIP has
# learned from pictures with surroundings; chosen on the validation split of the first RefShapes among 1 to 1.4.
CONTEXT = 1.25


@own_mode()
def encode_crops(images: Iterable[tuple[np.ndarray, np.ndarray]], visual: ModifiedResNet) -> list[Tensor]:
    """Image embeddings of the boxes of several images; all crops go through CLIP together, in batches.

    A crop is a square about the box's centre, `CONTEXT` times its longer side. Past the border, the image's outermost
    pixels are repeated. Each image, (H, W, 3) uint8 RGB, comes with its boxes, (N, 4) in its pixels, each with an area,
    and gives (N, E) float32, L2-normalised, on the device of `visual`, the image tower.
    """
    device, size = next(visual.parameters()).device, visual.input_resolution
    crops = []
    for image, boxes_xyxy in images:
        pixels = torch.from_numpy(np.require(image, requirements=["C", "W"])).to(device).permute(2, 0, 1)[None].float()
        boxes = torch.as_tensor(boxes_xyxy, device=device, dtype=torch.float32).reshape(-1, 4)
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        half = CONTEXT * (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True) / 2
        crops.append(_resized(pixels, torch.cat([centres - half, centres + half], dim=1), size))
    if not crops:
        return []
    embeddings = [
        visual(normalise_pixels(chunk.clamp(0, 255)).contiguous(memory_format=torch.channels_last))
        for chunk in torch.cat(crops).split(BATCH_SIZE)
    ]
    return list(F.normalize(torch.cat(embeddings).float(), dim=-1).split([len(of_image) for of_image in crops]))


def _resized(pixels: Tensor, boxes: Tensor, size: int) -> Tensor:
    """(N, 3, size, size): what lies in the boxes, bilinear.

    A box that shrinks to less than half is cut from an antialiased halving of the image, so that no pixel of it is
    passed over, as CLIP's own preprocessing passes over none.
    """
    crops = pixels.new_empty(len(boxes), 3, size, size)
    sides = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1)
    halvings = (sides / size).clamp(min=1).log2().floor().long()
    for level in halvings.unique().tolist():
        at_level = halvings == level
        height, width = (max(1, round(side / 2**level)) for side in pixels.shape[-2:])
        halved = F.interpolate(pixels, (height, width), mode="bilinear", antialias=True) if level else pixels
        scale = boxes.new_tensor([width / pixels.shape[-1], height / pixels.shape[-2]]).repeat(2)
        # kornia takes, clockwise from the upper left, where the centres of the crop's corner pixels lie (half a pixel
        # of the crop inside its edges), counted from the centre of the image's first pixel.
        scaled = boxes[at_level] * scale
        inset = (scaled[:, 2:] - scaled[:, :2]) / size / 2
        (x1, y1), (x2, y2) = (scaled[:, :2] + inset - 0.5).T, (scaled[:, 2:] - inset - 0.5).T
        corners = torch.stack([x1, y1, x2, y1, x2, y2, x1, y2], dim=1).view(-1, 4, 2)
        crops[at_level] = crop_and_resize(
            halved.expand(len(corners), -1, -1, -1), corners, (size, size), padding_mode="border"
        )
    return crops
