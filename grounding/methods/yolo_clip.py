"""YOLO + CLIP, without any training: a detector proposes boxes, CLIP chooses among them by their crops."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from grounding.clip.backbone import EMBEDDED, LoadedCLIP
from grounding.clip.crops import VIEWS, encode_crops
from grounding.clip.precision import own_mode
from grounding.clip.text import TextEncoder, as_phrases
from grounding.data.images import ImageLike, as_image
from grounding.errors import InputError
from grounding.geometry import heatmap_of_boxes
from grounding.methods.batch import as_batch
from grounding.methods.drawings import EMBEDDED_CLIP, EMBEDDED_DETECTOR, PhotographWarner
from grounding.methods.proposals import EMBEDDED_NAME
from grounding.methods.proposals.types import Proposer
from grounding.methods.recipe import Reloadable
from grounding.methods.stream import EncodeOnceGrounder
from grounding.types import Grounding


@dataclass(frozen=True)
class ScoringConfig:
    """How CLIP looks at a proposal.

    Attributes:
        views: one or several of "tight", "context" and "blur" (`crops.encode_crops`); of several, the mean
            similarity counts.
    """

    views: tuple[str, ...] = ("context",)

    def __post_init__(self) -> None:
        if not self.views or not set(self.views) <= set(VIEWS):
            raise InputError(f"scoring.views is {list(self.views)}: give one or several of {', '.join(VIEWS)}")


class ProposalScorer:
    """CLIP's opinion on which box of an image a phrase means.

    Args:
        clip: the frozen CLIP.
        config: how it looks at a box.
    """

    def __init__(self, clip: LoadedCLIP, config: ScoringConfig) -> None:
        self.clip = clip
        self.config = config
        self.encode_phrases = TextEncoder(clip)

    def __call__(
        self, images: Sequence[np.ndarray], boxes_xyxy: Sequence[np.ndarray], phrases: Sequence[Sequence[str]]
    ) -> list[np.ndarray]:
        """Per image (P, N) float32: of each phrase a distribution over the boxes, by softmax at CLIP's temperature.

        Args:
            images: B, each (H, W, 3) uint8 RGB; the crops of all of them go through CLIP together.
            boxes_xyxy: per image (N, 4), N >= 1, in its pixels; each with an area.
            phrases: per image P of them, or none.
        """
        return self.score(self.encode(images, boxes_xyxy), phrases)

    def encode(self, images: Sequence[np.ndarray], boxes_xyxy: Sequence[np.ndarray]) -> list[Tensor]:
        """Per image (V, N, E): its boxes as CLIP sees them in V views, to be scored as often as one likes.

        Args:
            images: as for a call.
            boxes_xyxy: as for a call.
        """
        return encode_crops(zip(images, boxes_xyxy, strict=True), self.clip.image_tower, views=self.config.views)

    def score(self, crops: Sequence[Tensor], phrases: Sequence[Sequence[str]]) -> list[np.ndarray]:
        """What a call returns, of boxes that `encode` has seen.

        Args:
            crops: per image (V, N, E).
            phrases: as for a call.
        """
        scale = self.clip.model.logit_scale.exp()
        return [(scale * each).softmax(dim=1).cpu().numpy() for each in self.similarities(crops, phrases)]

    def similarities(self, crops: Sequence[Tensor], phrases: Sequence[Sequence[str]]) -> list[Tensor]:
        """Per image (P, N) in [-1, 1] the cosine of each phrase with each box, the mean over its views.

        Args:
            crops: per image (V, N, E).
            phrases: as for a call.
        """
        return [
            torch.einsum("pe,vne->pn", self.encode_phrases(asked).embeddings, of_image) / len(of_image)
            if asked
            else of_image.new_zeros(0, of_image.shape[1])
            for of_image, asked in zip(crops, phrases, strict=True)
        ]


def grounding_of_boxes(
    phrase: str,
    boxes_xyxy: np.ndarray,
    scores: np.ndarray,
    image: np.ndarray,
    *,
    no_proposal: bool = False,
    presence: float = 1.0,
    warning: str = "",
) -> Grounding:
    """The answer of a method that scores boxes; the best one comes first, of equals the earlier.

    Its heatmap is `geometry.heatmap_of_boxes`.

    Args:
        phrase: what was asked.
        boxes_xyxy: (N, 4) in pixels of the image, N >= 1; in any order.
        scores: (N,) in [0, 1].
        image: (H, W, 3) uint8 RGB.
        no_proposal, presence, warning: as in `Grounding`.

    Example:
        >>> boxes, scores = np.array([[0, 0, 4, 4], [2, 2, 8, 6]]), np.array([0.1, 0.9])
        >>> grounding.grounding_of_boxes("the cup", boxes, scores, np.zeros((10, 12, 3), np.uint8)).boxes_xyxy[0]
        array([2., 2., 8., 6.], dtype=float32)
    """
    order = np.argsort(-scores, kind="stable")
    boxes, scores = boxes_xyxy[order].astype(np.float32), scores[order].astype(np.float32)
    heatmap = heatmap_of_boxes(boxes, scores, image.shape[:2])
    return Grounding(phrase, boxes, scores, heatmap, image, no_proposal, presence, warning=warning)


@dataclass(frozen=True, eq=False, repr=False)
class EncodedProposals:
    """Images whose proposals are found and encoded, to be asked as often as one likes.

    Attributes:
        images: B originals, each (H, W, 3) uint8 RGB.
        boxes_xyxy: per image (N, 4), N >= 1, in its pixels.
        found: per image, whether these are proposals; else the only one is the whole image.
        crops: per image (V, N, E), the boxes as CLIP sees them.
        encoded_by: `YOLOCLIPGrounder.identity`.
    """

    images: tuple[np.ndarray, ...]
    boxes_xyxy: tuple[np.ndarray, ...]
    found: tuple[bool, ...]
    crops: tuple[Tensor, ...]
    encoded_by: str

    @property
    def nbytes(self) -> int:
        """Bytes that all of it takes."""
        arrays = sum(each.nbytes for each in (*self.images, *self.boxes_xyxy))
        return arrays + sum(crops.nbytes for crops in self.crops)


class YOLOCLIPGrounder(Reloadable, EncodeOnceGrounder):
    """Answers with the proposal whose crop CLIP finds closest to the phrase.

    Where the detector proposes nothing, the answer is the whole image, marked as `no_proposal`.

    Args:
        proposer: finds boxes without knowing the phrase.
        scorer: chooses among them.
    """

    name = "yolo-clip"

    def __init__(self, proposer: Proposer, scorer: ProposalScorer) -> None:
        self.proposer = proposer
        self.scorer = scorer
        self.weights = f"{scorer.clip.weights}; {proposer.weights}"
        self.warning_about = PhotographWarner(*[EMBEDDED_CLIP] * (scorer.clip.name == EMBEDDED),
                                              *[EMBEDDED_DETECTOR] * (proposer.name == EMBEDDED_NAME))  # fmt: skip

    @property
    def text(self) -> TextEncoder:
        """What reads the phrases, and remembers them."""
        return self.scorer.encode_phrases

    @own_mode()
    def encode(self, image: ImageLike) -> EncodedProposals:
        """An image as a value that `ground` takes in its place; `ReCLIPGrounder` takes the same.

        Raises:
            InputError: the image cannot be read.
        """
        return self._encode([as_image(image)])

    @own_mode()
    def ground(self, image: ImageLike | EncodedProposals, phrases: Sequence[str]) -> list[Grounding]:
        """The proposals in the order of their probabilities, per phrase; image and phrases are encoded once.

        Args:
            image: as for `DenseGrounder.ground`, or what `encode` returned.
            phrases: what to look for; each at most CLIP's 77 tokens.

        Raises:
            InputError: the image cannot be read or another CLIP or detector has encoded it, or a phrase is empty or too
                long.
        """
        phrases = as_phrases(phrases)
        if not phrases:
            return []
        encoded = image if isinstance(image, EncodedProposals) else self.encode(image)
        if encoded.encoded_by != self.identity:
            raise InputError("the image was encoded by a method of another CLIP or detector: encode it with this")
        return self._ground_encoded(encoded, [phrases])[0]

    @own_mode()
    def ground_batch(self, images: Sequence[ImageLike], phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        """`ground` for several images; the crops of all that are asked something go through CLIP together.

        It raises as `ground` does, and as `as_batch`.
        """
        pixels, of_images = as_batch(images, phrases)
        asked = [index for index, of_image in enumerate(of_images) if of_image]
        if not asked:
            return [[] for _ in of_images]
        encoded = self._encode([pixels[index] for index in asked])
        answers = dict(zip(asked, self._ground_encoded(encoded, [of_images[index] for index in asked]), strict=True))
        return [answers.get(index, []) for index in range(len(of_images))]

    @property
    def identity(self) -> str:
        """What an encoded image depends on besides the image."""
        clip, proposer = self.scorer.clip, self.proposer
        return f"{clip.sha256} {clip.precision} {self.scorer.config} {proposer.sha256} {proposer.selection}"

    def _encode(self, images: Sequence[np.ndarray]) -> EncodedProposals:
        boxes, found = zip(*(boxes_to_choose_from(self.proposer, image) for image in images), strict=True)
        return EncodedProposals(tuple(images), boxes, found, tuple(self.scorer.encode(images, boxes)), self.identity)

    def _ground_encoded(self, encoded: EncodedProposals, phrases: Sequence[Sequence[str]]) -> list[list[Grounding]]:
        probabilities = self._probabilities(encoded, phrases)
        # From -1 to 1, brought to 0 to 1: the phrase's cosine with the crop that fits it best.
        present = [(1 + each.amax(dim=1)) / 2 for each in self.scorer.similarities(encoded.crops, phrases)]
        return [
            [
                grounding_of_boxes(phrase, boxes, scores, image, no_proposal=not found, presence=presence,
                                   warning=warning)
                for phrase, scores, presence in zip(asked, distributions, of_image.tolist(), strict=True)
            ]
            for image, boxes, found, asked, distributions, of_image, warning in zip(
                encoded.images, encoded.boxes_xyxy, encoded.found, phrases, probabilities, present,
                self.warning_about(encoded.images), strict=True
            )
        ]  # fmt: skip

    def _probabilities(self, encoded: EncodedProposals, phrases: Sequence[Sequence[str]]) -> list[np.ndarray]:
        return self.scorer.score(encoded.crops, phrases)


def boxes_to_choose_from(proposer: Proposer, image: np.ndarray) -> tuple[np.ndarray, bool]:
    """(N, 4) proposals, and True; or the whole image as the only box, and False, where there are none."""
    boxes = proposer.propose(image).boxes_xyxy
    if len(boxes):
        return boxes, True
    height, width = image.shape[:2]
    return np.array([[0, 0, width, height]], dtype=np.float32), False
