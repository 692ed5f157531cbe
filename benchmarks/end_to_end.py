"""From an image file to boxes: `python -m benchmarks.end_to_end`, on an idle machine.

configs/refcocog.yaml's model at 448 pixels, a JPEG file of 640 x 480, phrases that were never asked before. Goals: all
that is not the image trunk (reading, resizing, text tower, decoder, boxes) costs at most 20 % of the trunk, and each
further phrase about the image at most 4 % of it; in bfloat16, whose trunk is the faster, 30 % and 6 %. The decoder is
untrained: its heatmaps are noise, from which boxes take longer to make than from a trained one's.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from benchmarks.measuring import Finding, report, take_turns
from benchmarks.rn50 import new_phrases, number_formats, random_grounder, random_rn50, write_photo
from grounding.clip.precision import precision_name
from grounding.data.images import read_image
from grounding.geometry import Letterbox
from grounding.methods.dense import DenseGrounder

COMMAND = "python -m benchmarks.end_to_end"
FURTHER = 8  # phrases
MOST = {torch.float32: (0.2, 0.04), torch.bfloat16: (0.3, 0.06)}


def main() -> None:
    """Measure and report."""
    findings = []
    with TemporaryDirectory() as folder:
        photo = write_photo(Path(folder) / "photo.jpg")
        for number_format in number_formats():
            findings += measured(random_grounder(random_rn50(precision=number_format)), photo)
    report(findings, command=COMMAND)


def measured(grounder: DenseGrounder, photo: Path) -> list[Finding]:
    """Both findings of one precision."""
    pixels = read_image(photo)
    box = Letterbox.fit((pixels.shape[1], pixels.shape[0]), grounder.encoder.model_size)
    squares = torch.from_numpy(box.apply(pixels))[None]
    seconds = take_turns(
        {
            "trunk": partial(grounder.encoder.encode_squares, squares),
            "one": lambda: grounder.ground(photo, new_phrases(1)),
            "several": lambda: grounder.ground(photo, new_phrases(1 + FURTHER)),
        }
    )
    precision = grounder.encoder.clip.precision
    name, (besides, further) = precision_name(precision), MOST[precision]
    trunk, one, several = (1e3 * seconds[side] for side in ("trunk", "one", "several"))
    detail = f"trunk {trunk:.0f} ms, image file to boxes {one:.0f} ms, with {1 + FURTHER} phrases {several:.0f} ms"
    return [
        Finding(f"end_to_end.{name}_besides_trunk", one / trunk - 1, besides, False, detail),
        Finding(f"end_to_end.{name}_further_phrase", (several - one) / FURTHER / trunk, further, False, detail),
    ]


if __name__ == "__main__":
    main()
