"""What the report says about methods, bounds and plots."""

from __future__ import annotations

RUN_SENTENCE = (
    "a small trained decoder turns CLIP's frozen dense features and the phrase into a heatmap, and that into boxes"
)
METHOD_SENTENCES = {
    "zero-shot": "the cosine between the phrase's embedding and CLIP's dense embeddings is the heatmap; nothing is "
    "trained",
    "gradcam": "the gradient of CLIP's image-text similarity with respect to its last features is the heatmap "
    "(Selvaraju et al. 2017)",
    "yolo-clip": "a YOLO proposes boxes without knowing the phrase, CLIP encodes the crop of each, and the one nearest "
    "to the phrase is taken; nothing is trained on phrases with boxes",
    "reclip": "the same proposals; CLIP scores each noun phrase on them, and rules about the boxes combine the scores "
    "as the phrase says: left of, above, biggest, ... (after Subramanian et al. 2022)",
}
BOUND_SENTENCES = {
    "whole-image": "answers with the whole image: what no look at the image achieves",
    "centred-box": "answers with a box of half the image's sides in its middle: what photographers' habits are worth",
    "random-proposal": "takes one of the proposals at random (the exact expectation): what choosing adds is above it",
    "yolo-oracle": "takes the proposal with the highest IoU, which needs the annotation: no choice among the proposals "
    "does better",
    "annotated-clip": "CLIP chooses among the annotated boxes of the image: the choice alone, with perfect proposals",
    "box-mask": "the annotated box as the heatmap, at the decoder's resolution: what threshold and components lose",
}
UNDESCRIBED = "given to the comparison under this name"

# Name of the plot -> title, and how to read it.
PLOTS = {
    "accuracy_over_iou": (
        "Accuracy over the IoU threshold",
        "The height at t is the share of phrases whose best box has IoU of at least t; the grey line marks 0.5.",
    ),
    "accuracy_against_time": (
        "Accuracy against time",
        "Up is better, left is faster; whiskers are the 95 % interval, and the time is that of answering, the image's "
        "encoding included, divided by the number of phrases.",
    ),
    "breakdowns": (
        "Accuracy by kind of phrase and object",
        "Each group of bars holds the methods on the same phrases; below stands how many there are, and few of them "
        "make a coarse number.",
    ),
    "iou_histogram": (
        "How far the boxes are off",
        "Mass near 0 is the wrong place, mass just left of the line at 0.5 is the right place with a loose box.",
    ),
    "risk_coverage": (
        "Answering only when sure",
        "From right to left, the least confident answers are given up; a line that rises to the left belongs to "
        "scores that tell right from wrong.",
    ),
    "confusion": (
        "Wanted and found categories",
        "A row is the category that was asked for, its cells say what was under the best box: on the diagonal the "
        "same category, in the last column nothing annotated.",
    ),
    "reliability": (
        "Is the score to be trusted?",
        "On the diagonal, answers with a score of s are right in a share s of the cases, above it the method is too "
        "modest, below it too sure; the lower panel shows how often each score is given.",
    ),
}
