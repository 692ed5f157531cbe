"""Examples as batches of torch's own `DataLoader`, whose default does not know them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.utils.data._utils.collate import default_collate_fn_map

from grounding.types import Example, SetExample


def collate_examples(examples: Sequence[Example | SetExample], *, collate_fn_map: Any = None) -> dict[str, Any]:
    """A batch as a dictionary; images differ in size and in their number of phrases, so most of it is lists.

    Args:
        examples: B of them.
        collate_fn_map: torch passes its own; not needed.

    Returns:
        "images": B tensors (3, H, W) uint8 RGB; "phrases": B lists of N phrases; "boxes_xyxy": B tensors (N, 4)
        float32, the annotated box of each phrase in pixels of the image, or, of a `SetExample`, B lists of N tensors
        (M, 4); "sent_ids": B tensors (N,) int64; "image_ids": (B,) int64.
    """
    return {
        "images": [torch.from_numpy(each.image.transpose(2, 0, 1).copy()) for each in examples],
        "phrases": [each.phrases for each in examples],
        "boxes_xyxy": [_boxes_of(each) for each in examples],
        "sent_ids": [torch.tensor([expression.sent_id for expression in each.expressions]) for each in examples],
        "image_ids": torch.tensor([each.expressions[0].image_id for each in examples]),
    }


def _boxes_of(example: Example | SetExample) -> Any:
    if isinstance(example, Example):
        return torch.from_numpy(example.boxes_xyxy)
    return [torch.tensor(each.boxes_xyxy, dtype=torch.float32).reshape(-1, 4) for each in example.expressions]


# As torch's documentation of `default_collate` has it, for types that it does not know.
default_collate_fn_map.update({Example: collate_examples, SetExample: collate_examples})
