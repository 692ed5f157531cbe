"""What adaptation makes CLIP forget: `python -m benchmarks.forgetting`, three minutes on a core.

It needs the runs of configs/refshapes.yaml and configs/refshapes-weak.yaml, and of the latter another one with
`--losses.distance_weight 10 --output runs/refshapes-weak-distance`.

Captions of the catalogue look for a picture they are true of among a hundred, by its best regions, before and after
what a run learned is applied, whole and in part (Wortsman et al. 2022, "Robust Fine-tuning of Zero-shot Models",
section 3: weights between CLIP's own and the adapted ones). Writes a table of docs/results.md, and docs/claims.json.
"""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import cast

import numpy as np
import torch
import torch.nn.functional as F
from tabulate import tabulate
from torch import Tensor
from tqdm import tqdm

from benchmarks.claims import CLAIMS, Claim, record
from benchmarks.measuring import run
from benchmarks.pages import write_between
from grounding.clip.backbone import normalise_pixels
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import load
from grounding.model.adaptation import SHARPNESS, EmbeddingAdapters
from grounding.model.decoder import HeatmapDecoder
from grounding.training.contrast import pooled_similarity
from grounding.training.run_folder import METRICS_FILE
from pretraining.captions import captioned_pictures, captions_true_of
from pretraining.heldout import GALLERY, HELD_OUT_SEED, caption_embeddings, first_is_right

BEGIN, END = "<!-- Written by python -m benchmarks.forgetting -->", "<!-- End of benchmarks.forgetting -->"
COMMAND, PREFIX = "python -m benchmarks.forgetting", "forgetting/"
SHARES = (0.0, 0.5, 0.75, 1.0)  # of what was learned
LEAST = 0.97  # of the retrieval before
RUNS = (Path("runs/refshapes"), Path("runs/refshapes-weak"), Path("runs/refshapes-weak-distance"))


def main(
    runs: tuple[Path, ...] = RUNS,
    galleries: int = 20,
    output: Path = Path("docs/results.md"),
    claims: Path = CLAIMS,
) -> None:
    """Measure what runs have made of CLIP.

    Args:
        runs: of decoders, or of adapters.
        galleries: of a hundred pictures.
        output: Markdown file with the two marks.
        claims: file that the results go into.
    """
    measured = {run: retrieval(run, galleries) for run in runs}
    rows = [
        [run.name, f"{share:g}", f"{np.mean(right):.3f}", f"{np.mean(right) / np.mean(of_shares[0.0]):.3f}", len(right),
         _pointing_on_val(run) if share == 1 else ""]
        for run, of_shares in measured.items() for share, right in of_shares.items()
    ]  # fmt: skip
    headings = ["run", "share of it", "right picture first", "of before", "n", "its pointing on val"]
    write_between(output, BEGIN, END, tabulate(rows, headings, "github", disable_numparse=True))
    kept = {
        f"{PREFIX}{run.name}": Claim(float(np.mean(right[1.0]) / np.mean(right[0.0])), COMMAND, n=len(right[1.0]),
                                 goal=(LEAST, None))
        for run, right in measured.items()
    }  # fmt: skip
    record(kept, claims)


@torch.no_grad()
def retrieval(run: Path, galleries: int) -> dict[float, list[bool]]:
    """Share of what the run learned -> of every caption that is true of any picture, whether it finds one first."""
    grounder = cast(DenseGrounder, load(run, device="cpu"))
    clip = grounder.encoder.clip
    right: dict[float, list[bool]] = {share: [] for share in SHARES}
    for stream in tqdm(range(galleries), desc=f"{run.name}: galleries"):
        shown = captioned_pictures(HELD_OUT_SEED, clip.model.visual.input_resolution, stream=stream)
        gallery = list(islice(shown, GALLERY))
        pixels = normalise_pixels(torch.from_numpy(np.stack([each.image for each in gallery])).permute(0, 3, 1, 2))
        captions, true_of = caption_embeddings(clip, gallery), captions_true_of(gallery)
        for share in SHARES:
            right[share] += first_is_right(_by_regions(grounder, share, pixels, captions), true_of)
    return right


def _pointing_on_val(run: Path) -> str:
    """Of the epoch that was kept."""
    epochs = [json.loads(line) for line in (run / METRICS_FILE).read_text().splitlines()]
    return f"{max(epochs, key=lambda epoch: epoch['acc@0.5'])['pointing']:.3f}"


def _by_regions(grounder: DenseGrounder, share: float, pixels: Tensor, captions: Tensor) -> Tensor:
    """(captions, images) soft maxima over positions of cosines, a share of what was learned added to CLIP."""
    decoder, encoder = cast(HeatmapDecoder | EmbeddingAdapters, grounder.decoder), grounder.encoder
    if isinstance(decoder, HeatmapDecoder) and decoder.updates is not None:
        encoder = encoder.updated({name: share * added for name, added in decoder.updates().items()})
    features = encoder.dense(pixels)
    regions = F.normalize(torch.lerp(features.embeddings, decoder.region_embeddings(features), share), dim=1)
    sharpness = torch.tensor(SHARPNESS)
    if isinstance(decoder, EmbeddingAdapters):
        captions = F.normalize(torch.lerp(captions, decoder.phrase_embeddings(captions), share), dim=-1)
        sharpness = decoder.log_sharpness.exp()
    everywhere = torch.ones(len(pixels), *regions.shape[2:], dtype=torch.bool)
    return pooled_similarity(regions, everywhere, captions, sharpness)


if __name__ == "__main__":
    run(main)
