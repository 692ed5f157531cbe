"""Ours beside YOLO + CLIP, from image files to boxes: `python -m benchmarks.against_yolo_clip`, on an idle machine.

The same images with four phrases each, RN50's architecture on both sides. Two baselines: proposals with the `clip`
package as it is used everywhere (its own preprocessing, its own towers in float32), and proposals with our encoder in
the precision that ours has. What the baseline costs grows with the number of its proposals, which lower confidences
give more of, and ours does not. Goals: at every confidence at least 0.9 of what the FLOPs of both sides let expect, and
with the confidence of configs/refcocog.yaml the fast setting (256 pixels, output stride 32, whose accuracy is
benchmarks.fast's) at least 3 times as fast as the first baseline.

Without --images the pictures are generated, and the detector is the embedded one. Photographs and a detector for them:

    python -m benchmarks.against_yolo_clip --images FOLDER --detector yolov5nu.pt
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
import torch.nn.functional as F
from PIL import Image
from torchvision.transforms import Compose

from benchmarks.measuring import Finding, flops_of, report, run, take_turns
from benchmarks.rn50 import new_phrases, number_formats, random_grounder, random_rn50
from grounding.clip.backbone import CLIP, clip
from grounding.clip.precision import precision_name
from grounding.data.images import read_image
from grounding.methods.load import FAST_SIZE
from grounding.methods.proposals import EMBEDDED_NAME, ProposalsConfig, Proposer, load_proposer
from grounding.methods.yolo_clip import ProposalScorer, YOLOCLIPGrounder
from grounding.runtime.errors import InputError
from grounding.webapp.uploads import examples_for

PHRASES = 4
BASELINES = {"plain": "with plain clip", "fast": "with our encoder"}
CONFIGURED = 0.1
OF_FLOPS, FASTER = 0.9, 3.0
EMBEDDED_FLOPS = 448_089_600  # of the embedded detector's convolutions, which run where PyTorch counts none
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
    """The findings of one precision and one confidence."""
    proposer = load_proposer(ProposalsConfig(detector=detector, confidence=confidence))
    loaded, plain = random_rn50(precision=precision), random_rn50().model
    preprocess = clip.clip._transform(plain.visual.input_resolution)
    ours, small = random_grounder(loaded), random_grounder(loaded, model_size=FAST_SIZE, output_stride=32)
    cropping = YOLOCLIPGrounder(proposer, ProposalScorer(loaded))
    sides: dict[str, Callable[[Path], object]] = {
        "ours": lambda path: ours.ground(path, new_phrases(PHRASES)),
        "small": lambda path: small.ground(path, new_phrases(PHRASES)),
        "plain": lambda path: plain_yolo_clip(plain, preprocess, proposer, path, new_phrases(PHRASES)),
        "fast": lambda path: cropping.ground(path, new_phrases(PHRASES)),
    }
    # Every side meets the same picture in the same round.
    turns = {name: map(side, cycle(paths)) for name, side in sides.items()}
    seconds = take_turns({name: partial(next, turn) for name, turn in turns.items()}, rounds=max(10, len(paths)))
    flops = {name: sum(flops_of(partial(side, path)) for path in paths) / len(paths) for name, side in sides.items()}
    boxes = sum(len(proposer.propose(read_image(path))) for path in paths) / len(paths)
    uncounted = EMBEDDED_FLOPS if proposer.name == EMBEDDED_NAME else 0
    figures = ", ".join(
        f"{called} {1e3 * seconds[side]:.0f} ms and {(flops[side] + uncounted * (side in BASELINES)) / 1e9:.0f} GFLOP"
        for side, called in {"ours": "ours", "small": "fast setting", **BASELINES}.items()
    )
    detail = (
        f"{len(paths)} images, {boxes:.1f} proposals each (confidence {confidence:g}), {PHRASES} phrases: {figures}"
    )
    key = f"against_yolo_clip.{kind}_{precision_name(precision)}"
    findings = []
    for side in BASELINES:
        ratio = seconds[side] / seconds["ours"]
        expected = (flops[side] + uncounted) / flops["ours"]
        findings += [
            Finding(f"{key}_{side}_at_{confidence:g}", ratio, None, True, detail),
            Finding(f"{key}_{side}_at_{confidence:g}_of_flops", ratio / expected, OF_FLOPS, True,
                    f"{ratio:.2f} times as fast, by FLOPs {expected:.2f} times"),
        ]  # fmt: skip
    if confidence == CONFIGURED:
        ratio = seconds["plain"] / seconds["small"]
        findings.append(Finding(f"{key}_plain_over_fast_setting", ratio, FASTER, True, detail))
    return findings


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
