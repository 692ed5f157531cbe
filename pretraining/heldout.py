"""`python -m pretraining.heldout`: what a CLIP knows of catalogue pictures that it was not trained on.

Two measures: which word of a kind (colour, shape, texture, material) fits a picture of a single thing, and which of a
hundred pictures a caption is of. The second says, before and after an adaptation, how much of CLIP is forgotten.
"""

from __future__ import annotations

import sys
from itertools import islice

import numpy as np
import torch
import torch.nn.functional as F
from jsonargparse import auto_cli
from torch import Tensor
from tqdm import tqdm

from grounding.clip.backbone import LoadedCLIP, load_clip, normalise_pixels
from grounding.clip.text import text_states, tokenize
from grounding.data.refshapes.vocabulary import COLOURS, MATERIALS, SHAPES, TEXTURES
from grounding.runtime.cli import exit_on_input_error
from pretraining.captions import CaptionedPicture, captioned_pictures, captions_true_of

HELD_OUT_SEED = 90_001  # no training has it
GALLERY = 100  # pictures that a caption is looked for in
KINDS = {"colour": tuple(COLOURS), "shape": SHAPES, "texture": TEXTURES, "material": MATERIALS}


def main(clip: str = "embedded", pictures: int = 2000) -> None:
    """Measure a CLIP on held-out pictures of the catalogue.

    Args:
        clip: which CLIP; see `load_clip`.
        pictures: how many; whole galleries of 100 are used.
    """
    loaded = load_clip(clip, "cpu")
    shown, recalls = [], []
    for stream in tqdm(range(pictures // GALLERY), desc="galleries"):
        size = loaded.model.visual.input_resolution
        gallery = list(islice(captioned_pictures(HELD_OUT_SEED, size, stream=stream), GALLERY))
        images = image_embeddings(loaded, gallery)
        shown += [(each.shows[0], image) for each, image in zip(gallery, images, strict=True) if len(each.shows) == 1]
        recalls += first_is_right(caption_embeddings(loaded, gallery) @ images.T, captions_true_of(gallery))
    for kind, words in KINDS.items():
        prompts = text_embeddings(loaded, [f"a {word}" if kind == "shape" else f"a {word} object" for word in words])
        chosen = (torch.stack([image for _, image in shown]) @ prompts.T).argmax(dim=1).tolist()
        right = np.mean([words[index] == getattr(thing, kind) for index, (thing, _) in zip(chosen, shown, strict=True)])
        print(f"{kind:<10} {right:.3f}  (chance {1 / len(words):.3f}, {len(shown)} pictures)")
    print(f"captions   {np.mean(recalls):.3f}  find a picture they are true of first, of {GALLERY} ({len(recalls)})")


def first_is_right(similarity: Tensor, true_of: np.ndarray) -> list[bool]:
    """Of each caption whether the image it fits best is one that it is true of; captions true of none are left out.

    Args:
        similarity: (captions, images).
        true_of: (images, captions) bool.
    """
    nearest = similarity.argmax(dim=1).tolist()
    return [bool(true_of[image, caption]) for caption, image in enumerate(nearest) if true_of[:, caption].any()]


@torch.no_grad()
def image_embeddings(clip: LoadedCLIP, pictures: list[CaptionedPicture]) -> Tensor:
    """(N, E), L2-normalised."""
    pixels = torch.from_numpy(np.stack([picture.image for picture in pictures])).permute(0, 3, 1, 2)
    return F.normalize(clip.model.encode_image(normalise_pixels(pixels)).float(), dim=-1)


def caption_embeddings(clip: LoadedCLIP, pictures: list[CaptionedPicture]) -> Tensor:
    """(N, E), L2-normalised."""
    return text_embeddings(clip, [picture.caption for picture in pictures])


@torch.no_grad()
def text_embeddings(clip: LoadedCLIP, phrases: list[str]) -> Tensor:
    """(N, E), L2-normalised."""
    return F.normalize(text_states(clip.model, tokenize(phrases))[0].float(), dim=-1)


if __name__ == "__main__":
    with exit_on_input_error():
        auto_cli(main, args=sys.argv[1:], as_positional=False, prog="python -m pretraining.heldout")
