"""What training is worth by the share of boxes it saw: `python -m benchmarks.boxes_curve`, on val.

The runs of `SHARES` are made before:

    python train.py --config configs/refshapes-half.yaml
    python train.py --config configs/refshapes-half.yaml --output runs/refshapes-10 --subset 1200 --epochs 20
    python train.py --config configs/refshapes-half.yaml --output runs/refshapes-1 --subset 120 --epochs 40

those without any box by configs/refshapes-weak.yaml and configs/refshapes-pseudo.yaml, and those that start from the
latter by it with `--split_by umd --data data/refshapes-half --composed_per_image 1 --start_from runs/refshapes-pseudo`,
8 epochs of 1,200 images or 20 of 120. Measured as the ablation is. Writes a table of docs/results.md, and
docs/claims.json.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from jsonargparse.typing import PositiveInt
from tabulate import tabulate

from benchmarks.ablation import MEASURES, Measured, difference, measure
from benchmarks.claims import CLAIMS, Claim, record
from benchmarks.measuring import run
from benchmarks.pages import write_between
from grounding.data.refcocog import RefCOCOg

BEGIN, END = "<!-- Written by python -m benchmarks.boxes_curve -->", "<!-- End of benchmarks.boxes_curve -->"
COMMAND, PREFIX = "python -m benchmarks.boxes_curve", "boxes/"
# Runs by the boxes they have seen, of 12,000 images; and what those with some are held against.
NONE, ALL = "none", "all"
SHARES = {
    NONE: "refshapes-weak",
    "none, on the boxes of a detector": "refshapes-weak+yolo",
    "none, decoder trained on the latter": "refshapes-pseudo",
    "1 %": "refshapes-1",
    "1 %, started from that decoder": "refshapes-1-weak",
    "10 %": "refshapes-10",
    "10 %, started from that decoder": "refshapes-10-weak",
    ALL: "refshapes-half",
}


def main(
    data: Path = Path("data/refshapes"),
    runs: Path = Path("runs"),
    measured_on: PositiveInt = 250,
    output: Path = Path("docs/results.md"),
    claims: Path = CLAIMS,
) -> None:
    """Measure the runs and write the table.

    Args:
        data: root folder of the data set with the val split.
        runs: folder of all runs.
        measured_on: images of val.
        output: Markdown file with the two marks.
        claims: file that the results go into.
    """
    val = RefCOCOg(data, "val", group_by="image", subset=measured_on)
    by_share = {share: measure(runs / name, val, runs / "ablation") for share, name in SHARES.items()}
    facts = f"{len(val)} images of val, {len(val.expressions):,} expressions"
    write_between(output, BEGIN, END, f"{facts}.\n\n{shares_table(by_share)}")
    record(worth_of_boxes(by_share), claims)


def shares_table(by_share: Mapping[str, Measured]) -> str:
    """The curve over the share of images whose boxes were seen, as Markdown."""
    rows = [
        [share, SHARES[share], *(f"{each.values[name].mean():.3f}" for name in MEASURES)]
        for share, each in by_share.items()
    ]
    return tabulate(rows, ["boxes of", "run", *MEASURES.values()], "github", disable_numparse=True)


def worth_of_boxes(by_share: Mapping[str, Measured]) -> dict[str, Claim]:
    """How far a tenth of the boxes goes, and how far one in a hundred is above none."""
    share_of_all = {each: float(by_share[each].values["acc@0.5"].mean()) for each in by_share}
    n = len(by_share[ALL].image_ids)
    claims = {}
    for share in (each for each in by_share if each.startswith("10 %")):
        value = share_of_all[share] / share_of_all[ALL]
        claims[f"{PREFIX}{share}: acc@0.5, of all"] = Claim(value, COMMAND, n=n, goal=(0.95, None))
    for share in (each for each in by_share if each.startswith("1 %")):
        value, interval = difference([by_share[share]], [by_share[NONE]], "acc@0.5")
        claims[f"{PREFIX}{share}: acc@0.5, minus none"] = Claim(value, COMMAND, interval, n, goal=(0.03, None))
    return claims


if __name__ == "__main__":
    run(main)
