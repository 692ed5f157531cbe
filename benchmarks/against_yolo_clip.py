"""Ours beside YOLO + CLIP, from image files to boxes: `python -m benchmarks.against_yolo_clip`, on an idle machine.

The same images with four phrases each, RN50's architecture on both sides. Two baselines: proposals with the `clip`
package as it is used everywhere (its own preprocessing, its own towers in float32), and proposals with our encoder in
the precision that ours has. Goals: 5 times as fast as the first, 3 times as the second, with the confidence of
configs/refcocog.yaml. What the baseline costs grows with the number of its proposals, and ours does not: lower
confidences, of which more proposals come, are measured beside it without a goal.

Without --images the pictures are generated, and the detector is the embedded one. Photographs and a detector for them:

    python -m benchmarks.against_yolo_clip --images FOLDER --detector yolov5nu.pt
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from PIL import Image
from torchvision.transforms import Compose

from benchmarks.measuring import Finding, report, run, take_turns
from benchmarks.rn50 import new_phrases, number_formats, random_grounder, random_rn50
from grounding.clip.backbone import CLIP, clip
from grounding.data.images import read_image
from grounding.errors import InputError
from grounding.methods.proposals import ProposalsConfig, Proposer, load_proposer
from grounding.methods.yolo_clip import ProposalScorer, YOLOCLIPGrounder
from grounding.webapp.uploads import examples_for

PHRASES = 4
CONFIGURED = 0.1
SUFFIXES = (".jpg", ".jpeg", ".png")


def main(
    images: Path | None = None,
    detector: str = ProposalsConfig.detector,
    confidences: tuple[float, ...] = (CONFIGURED, 0.01, 0.001),
    most: int = 12,
) -> None:
    """Measure and report.

    Args:
        images: folder of pictures; generated ones where it is not given.
        detector: which detector; see `ProposalsConfig`.
        confidences: boxes that score lower are dropped; one after the other.
        most: of the folder so many pictures are used, one a round.
    """
    with TemporaryDirectory() as folder:
        if images is None:
            paths = [each.path for each in examples_for(Path(folder), photographs=False, drawings=True)]
        else:
            paths = sorted(path for path in images.iterdir() if path.suffix.lower() in SUFFIXES)[:most]
        if not paths:
            raise InputError(f"{images} holds no image: give a folder of {', '.join(SUFFIXES)} files")
        findings = []
        kind = "generated" if images is None else "photographs"
        for precision in number_formats():
            for confidence in confidences:
                findings += measured(precision, paths, detector, confidence, kind)
    command = "python -m benchmarks.against_yolo_clip" + ("" if images is None else " --images FOLDER --detector FILE")
    report(findings, command=command)


def measured(
    precision: torch.dtype, paths: Sequence[Path], detector: str, confidence: float, kind: str
) -> list[Finding]:
    """Both findings of one precision and one confidence."""
    proposer = load_proposer(ProposalsConfig(detector=detector, confidence=confidence))
    loaded = random_rn50(precision=precision)
    ours = random_grounder(loaded)
    fast = YOLOCLIPGrounder(proposer, ProposalScorer(loaded))
    plain = random_rn50().model
    preprocess = clip.clip._transform(plain.visual.input_resolution)
    asked = {side: count() for side in ("ours", "plain", "fast")}

    def photo(side: str) -> Path:
        """The next one: every side meets the same in the same round."""
        return paths[next(asked[side]) % len(paths)]

    seconds = take_turns(
        {
            "ours": lambda: ours.ground(photo("ours"), new_phrases(PHRASES)),
            "plain": lambda: plain_yolo_clip(plain, preprocess, proposer, photo("plain"), new_phrases(PHRASES)),
            "fast": lambda: fast.ground(photo("fast"), new_phrases(PHRASES)),
        },
        rounds=max(10, len(paths)),
    )
    boxes = sum(len(proposer.propose(read_image(path))) for path in paths) / len(paths)
    name = str(precision).removeprefix("torch.")
    detail = (
        f"{kind}, {len(paths)} images, {boxes:.1f} proposals each (confidence {confidence:g}), {PHRASES} phrases: "
        f"ours {1e3 * seconds['ours']:.0f} ms, "
        f"with plain clip {1e3 * seconds['plain']:.0f} ms, with our encoder {1e3 * seconds['fast']:.0f} ms"
    )
    key = f"against_yolo_clip.{kind}_{name}"
    goals = {"plain": 5.0, "fast": 3.0}
    if confidence == CONFIGURED:
        return [Finding(f"{key}_{side}", seconds[side] / seconds["ours"], goals[side], True, detail) for side in goals]
    return [
        Finding(f"{key}_{side}_at_{confidence:g}", seconds[side] / seconds["ours"], None, True, detail)
        for side in goals
    ]


@torch.inference_mode()
def plain_yolo_clip(
    model: CLIP, preprocess: Compose, proposer: Proposer, path: Path, phrases: Sequence[str]
) -> torch.Tensor:
    """Per phrase the index of the best proposal, as the `clip` package's own examples would have it."""
    pixels = read_image(path)
    boxes = proposer.propose(pixels).tolist() or [(0, 0, pixels.shape[1], pixels.shape[0])]
    image = Image.fromarray(pixels)
    crops = torch.stack([preprocess(image.crop(tuple(box))) for box in boxes])
    regions = F.normalize(model.encode_image(crops), dim=-1)
    texts = F.normalize(model.encode_text(clip.tokenize(list(phrases))), dim=-1)
    return (texts @ regions.T).argmax(dim=-1)


if __name__ == "__main__":
    run(main)
