"""CLIP's global embedding of regions: each box cropped, resized to CLIP's native size, and encoded."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from clip.model import CLIP
from kornia.geometry.transform import crop_and_resize
from torch import Tensor

from grounding.clip_backbone import normalise_pixels

BATCH_SIZE = 64
# Side of the square crop over the box's longer side. A squashed crop turns a diamond into a square, and CLIP has
# learned from pictures with surroundings; chosen on the validation split of RefShapes among 1, 1.15, 1.25 and 1.4.
CONTEXT = 1.25


@torch.no_grad()
def encode_crops(model: CLIP, image: np.ndarray, boxes_xyxy: np.ndarray) -> Tensor:
    """Image embeddings of the boxes of one image, as CLIP's own image tower gives them.

    Each crop is a square about the box's centre, `CONTEXT` times its longer side; past the border, the image's
    outermost pixels are repeated.

    Args:
        model: the frozen CLIP.
        image: (H, W, 3) uint8 RGB.
        boxes_xyxy: (N, 4) in pixels of the image; each with an area.

    Returns:
        (N, E) float32, L2-normalised, on the model's device.
    """
    device, size = model.text_projection.device, model.visual.input_resolution
    pixels = torch.from_numpy(np.ascontiguousarray(image)).to(device).permute(2, 0, 1)[None].float()
    boxes = torch.as_tensor(boxes_xyxy, device=device, dtype=torch.float32)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = CONTEXT * (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True) / 2
    # kornia takes, clockwise from the upper left, where the centres of the crop's corner pixels lie (half a pixel of
    # the crop inside its edges), counted from the centre of the image's first pixel.
    reach = half - half / size
    (x1, y1), (x2, y2) = (centres - reach - 0.5).unbind(dim=1), (centres + reach - 0.5).unbind(dim=1)
    corners = torch.stack([x1, y1, x2, y1, x2, y2, x1, y2], dim=1).view(-1, 4, 2)
    embeddings = []
    for chunk in corners.split(BATCH_SIZE):
        crops = crop_and_resize(pixels.expand(len(chunk), -1, -1, -1), chunk, (size, size), padding_mode="border")
        embeddings.append(model.visual(normalise_pixels(crops.clamp(0, 255))))
    return F.normalize(torch.cat(embeddings), dim=-1)
