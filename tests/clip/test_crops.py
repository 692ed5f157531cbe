import numpy as np
import pytest
import torch
import torch.nn.functional as F
from clip.clip import _transform
from PIL import Image
from torch import Tensor
from torchvision.ops import roi_align

from grounding.clip import crops
from grounding.clip.crops import encode_crops
from tests.tiny_clip import EMBED_DIM, RESOLUTION, tiny_clip

MODEL = tiny_clip()


@pytest.fixture
def seen(monkeypatch) -> list[Tensor]:
    """The batches of crops as the image tower gets them, in [0, 255]."""
    batches: list[Tensor] = []
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)
    monkeypatch.setattr(MODEL.visual, "forward", lambda x: batches.append((x * std + mean) * 255) or x.mean((2, 3)))
    return batches


def embedded(image: np.ndarray, boxes) -> Tensor:
    """(N, E) of one image's boxes."""
    return encode_crops([(image, np.array(boxes, dtype=np.float32))], MODEL.visual)[0]


def resized(image: np.ndarray, **options) -> Tensor:
    """(1, 3, S, S): bilinear with half-pixel centres, by torch."""
    return F.interpolate(as_batch(image), (RESOLUTION, RESOLUTION), mode="bilinear", **options)


def photo(width: int = 150, height: int = 100) -> np.ndarray:
    """Random patches with soft edges, so that half a pixel more or less shows."""
    small = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (1, 3, height // 5, width // 5)).astype("f4"))
    return F.interpolate(small, (height, width), mode="bilinear")[0].permute(1, 2, 0).byte().numpy()


def as_batch(image: np.ndarray) -> Tensor:
    """(1, 3, H, W) float32 in [0, 255]."""
    return torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float()


def square_around(box: tuple[float, ...], context: float) -> tuple[float, ...]:
    """The square of `context` times the longer side about the box's centre."""
    x1, y1, x2, y2 = box
    side = context * max(x2 - x1, y2 - y1)
    return ((x1 + x2 - side) / 2, (y1 + y2 - side) / 2, (x1 + x2 + side) / 2, (y1 + y2 + side) / 2)


@pytest.mark.parametrize("context", [crops.CONTEXT, 1.0, 1.4])
def test_crops_equal_roi_align_with_the_border_repeated(seen, monkeypatch, context):
    """One sample in the middle of each of the crop's pixels, for small, fractional and overhanging boxes alike."""
    monkeypatch.setattr(crops, "CONTEXT", context)
    boxes = [(10, 20, 40, 30), (0.5, 0.25, 20.5, 80), (60.3, 11.9, 149.5, 99.9), (149, 99, 150, 100), (70, 50, 75, 53)]
    embedded(photo(), boxes)
    margin = 200
    padded = F.pad(as_batch(photo()), (margin,) * 4, mode="replicate")
    squares = torch.tensor([square_around(box, context) for box in boxes]) + margin
    expected = roi_align(padded, [squares], RESOLUTION, sampling_ratio=1, aligned=True)
    torch.testing.assert_close(seen[0], expected, atol=0.05, rtol=0)


def test_what_shrinks_is_antialiased(seen, monkeypatch):
    """Stripes one pixel wide become gray, as in CLIP's own preprocessing, instead of a moiré."""
    monkeypatch.setattr(crops, "CONTEXT", 1.0)
    stripes = np.zeros((6 * RESOLUTION, 6 * RESOLUTION, 3), dtype=np.uint8)
    stripes[:, ::2] = 255
    wide = photo(6 * RESOLUTION, 6 * RESOLUTION)
    for image in (stripes, wide):
        embedded(image, [(0, 0, image.shape[1], image.shape[0])])
    gray, shrunk = (each[..., 2:-2, 2:-2] for each in seen)
    assert (gray - 127.5).abs().max() < 30
    assert (shrunk - resized(wide, antialias=True)[..., 2:-2, 2:-2]).abs().mean() < 6


def test_whole_image_at_native_size_equals_clips_own_preprocessing(monkeypatch):
    monkeypatch.setattr(crops, "CONTEXT", 1.0)
    image = photo(RESOLUTION + 1, RESOLUTION + 1)[:RESOLUTION, :RESOLUTION]
    embedding = embedded(image, [(0, 0, RESOLUTION, RESOLUTION)])
    expected = MODEL.encode_image(_transform(RESOLUTION)(Image.fromarray(image))[None])
    torch.testing.assert_close(embedding, F.normalize(expected, dim=-1), atol=1e-5, rtol=0)
    torch.testing.assert_close(embedding.norm(dim=-1), torch.ones(1))


def test_many_boxes_keep_their_order_over_batches(monkeypatch):
    boxes = [(x, y, x + 40, y + 50) for x in range(0, 100, 30) for y in (0, 20, 50)]
    together = embedded(photo(), boxes)
    monkeypatch.setattr(crops, "BATCH_SIZE", 5)
    one_by_one = torch.cat([embedded(photo(), [box]) for box in boxes])
    assert together.shape == (12, EMBED_DIM) and not together.requires_grad
    assert (together[0] - together[1]).abs().max() > 1e-4
    torch.testing.assert_close(embedded(photo(), boxes), together, atol=1e-5, rtol=0)
    torch.testing.assert_close(one_by_one, together, atol=1e-5, rtol=0)
