"""A small network that tells how well a box fits the object from what the heatmap shows of it.

As detectors rank boxes by a predicted IoU (Jiang et al. 2018, "Acquisition of Localization Confidence for Accurate
Object Detection", section 3.1), and not by how sure they are of the object.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grounding.extraction.features import FEATURES, box_features, candidate_boxes
from grounding.extraction.multi_threshold import without_duplicates

WIDTH = 64
STEPS = 1500
ROWS_PER_STEP = 1024
LEARNING_RATE = 2e-3


class BoxQualityHead(nn.Module):
    """Features of boxes (N, FEATURES) to the logits (N,) of their IoU with the annotated box."""

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("std", torch.ones(FEATURES))
        self.layers = nn.Sequential(
            nn.Linear(FEATURES, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH), nn.GELU(), nn.Linear(WIDTH, 1)
        )

    def forward(self, features: Tensor) -> Tensor:
        """(N,) logits."""
        return self.layers((features - self.mean) / self.std)[:, 0]


@torch.inference_mode()
def boxes_by_quality(heatmap: np.ndarray, head: BoxQualityHead) -> tuple[np.ndarray, np.ndarray]:
    """Candidates of several thresholds and offsets, scored by the IoU that the head expects of them.

    Args:
        heatmap: (H, W) float32 in [0, 1].
        head: fitted, on the CPU.

    Returns:
        boxes_xyxy (N, 4) float32 in heatmap pixels, x2/y2 exclusive, and scores (N,) float32, best first; N >= 1.

    Raises:
        ValueError: heatmap is not 2-D or empty, or holds NaN.
    """
    boxes = candidate_boxes(heatmap)
    expected = head(torch.from_numpy(box_features(heatmap, boxes))).sigmoid().numpy()
    return without_duplicates(boxes, expected)


def fit_quality_head(features: np.ndarray, ious: np.ndarray, *, seed: int = 0) -> BoxQualityHead:
    """A head fitted to boxes of which the IoU is known; the same for the same seed.

    Args:
        features: (R, FEATURES) float32 of R >= 1 boxes.
        ious: (R,) in [0, 1], of each with the annotated box.
        seed: of the weights and the draws; PyTorch's own generator is left as it was.
    """
    rows, wanted = torch.from_numpy(features), torch.from_numpy(ious.astype(np.float32))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = BoxQualityHead()
        head.mean.copy_(rows.mean(dim=0))
        head.std.copy_(rows.std(dim=0, correction=0).clamp(min=1e-3))
        optimizer = torch.optim.AdamW(head.parameters(), lr=LEARNING_RATE, weight_decay=0.01)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, STEPS)
        for _ in range(STEPS):
            drawn = torch.randint(len(rows), (min(ROWS_PER_STEP, len(rows)),))
            # Cross-entropy with the IoU as a soft target has its minimum where the sigmoid is the expected IoU.
            loss = F.binary_cross_entropy_with_logits(head(rows[drawn]), wanted[drawn])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            schedule.step()
    return head.eval().requires_grad_(False)
