def value(name, measure="acc@0.5"):
    record = METHODS.get(name) or RESULTS["bounds"][name]
    return record["metrics"][measure]


def said(name, measure="acc@0.5"):
    return f"{value(name, measure):.3f}"


def against(name, measure="acc@0.5"):
    """Ours minus another method, in words."""
    low, high = METHODS[name]["behind"][measure]["interval"]
    place = {"better": "above", "worse": "below", "not separable": "not separable from"}[verdict(low, high)]
    return f"{place} {name} ({METHODS[name]['behind'][measure]['difference']:+.3f}, 95 % [{low:+.3f}, {high:+.3f}])"


kinds = {
    f"{axis}: {kind}": part["metrics"]["acc@0.5"]
    for axis, of_axis in METHODS[OURS]["breakdowns"].items()
    for kind, part in of_axis.items()
    if axis != "category" and part["n"] >= METHODS[OURS]["n"] / 100  # a handful says little
}
easiest, hardest = max(kinds, key=kinds.get), min(kinds, key=kinds.get)
subsets = "; ".join(
    f"{name} {part['metrics']['acc@0.5']:.3f} (reclip {METHODS['reclip']['subsets'][name]['metrics']['acc@0.5']:.3f})"
    for name, part in METHODS[OURS].get("subsets", {}).items()
)
wrong = [each for each in predictions if iou_of(each) < 0.5]
other_object = 0
for each in wrong:
    regions = splits["test"].regions[each.image_id]
    overlaps = box_iou(np.array(each.boxes_xyxy[:1]), np.array([region.box_xyxy for region in regions]))[0]
    other_object += bool(overlaps.max() >= 0.5 and regions[int(overlaps.argmax())].ann_id != each.ann_id)
other_share = 100 * other_object / max(len(wrong), 1)
choice, detection = "the choice among boxes", "the boxes themselves"
limit = f"{choice} more than {detection}" if value("yolo-oracle") > value("annotated-clip") else f"{detection} most"
closest = max(METHODS, key=lambda name: value(name, "text_cosine"))
gap = value(OURS, "pointing") - value(OURS)
strict, very_strict = (value(OURS, name) - value("yolo-clip", name) for name in ("acc@0.75", "acc@0.9"))
coarse = "; a heatmap's cells are coarser than edges that a detector regresses" if very_strict < 0 else ""
unboxed = supervised["adapters, no box"]["acc@0.5"]
unboxed_change = paired_difference(unboxed, with_rules["acc@0.5"], image_ids)

display(Markdown(f"""
### 7.1 What the numbers say

Measured on {METHODS[OURS]["n"]:,} expressions of {RESULTS["images"]:,} test images of {NAME}; {RESULTS["weights"]}.

- **What the decoder adds.** Acc@0.5 of {said(OURS)} is {against("zero-shot")}: the same CLIP, the same input size, no
  decoder. It could mend two errors, the wrong object and the wrong outline. Pointing, which sees the first only, goes
  from {said("zero-shot", "pointing")} to {said(OURS, "pointing")}; mIoU, which sees both, from
  {said("zero-shot", "miou")} to {said(OURS, "miou")}; Acc@0.75, most of all about outlines, from
  {said("zero-shot", "acc@0.75")} to {said(OURS, "acc@0.75")}.
- **Against the baseline**, ours is {against("yolo-clip")} in Acc@0.5, and in mIoU {against("yolo-clip", "miou")}. The
  baseline's boxes come from a detector that was trained on these categories. Its best box would reach
  {said("yolo-oracle")}, and CLIP with perfect boxes {said("annotated-clip")}: what limits the baseline is {limit}.
- **Against rules for spatial words**, ours is {against("reclip")}. Rules know the relations they were written for.
- **By chance**, a random proposal reaches {said("random-proposal")}, a centred box {said("centred-box")}.
- **Subsets** (Acc@0.5): {subsets or "the data set names none"}.
- **Without boxes.** In the short trainings, Acc@0.5 on validation is {unboxed.mean():.3f} for adapters that saw no box,
  and {arms["all parts"]["acc@0.5"].mean():.3f} for the decoder that saw every one. CLIP's own map, with the same rules
  and GrabCut, has {with_rules["acc@0.5"].mean():.3f}; training without boxes changes that by {signed(unboxed_change)}:
  {verdict(*unboxed_change.interval)}.
- **Meaning.** Our predicted crop and the phrase have a cosine of {said(OURS, "text_cosine")} (Euclidean distance
  {said(OURS, "text_euclidean")}), the annotated crop and the phrase {said(OURS, "annotated_text_cosine")}
  ({said(OURS, "annotated_text_euclidean")}), predicted and annotated crop {said(OURS, "crop_cosine")}
  ({said(OURS, "crop_euclidean")}). Closest to the phrase are the crops of {closest}
  ({said(closest, "text_cosine")}). This first measure rewards agreement with CLIP, by which some methods choose, rather
  than correctness; the similarity of the two crops does not.

### 7.2 Strengths

- One pass of a frozen image tower serves all phrases about an image. There is no detector and no list of categories.
- The heatmap says where the evidence is, also where the box is wrong, and can be seen before and after the decoder.
- One program learns from phrases with boxes and from phrases without; section 6.9 has what each is worth.
- Among kinds of phrases and objects it is best at *{easiest}* ({kinds[easiest]:.3f}).

### 7.3 Weaknesses

- It is worst at *{hardest}* ({kinds[hardest]:.3f}).
- Of its {len(wrong):,} wrong answers, {other_share:.0f} % are a good box of *another* annotated object: the phrase was
  misread, not the outline. The rest are boxes that fit no object well.
- Pointing minus Acc@0.5 is {gap:+.3f}: roughly the share of phrases whose object is found and whose box is not, which
  is what one threshold for all heatmaps loses. At the strict IoU of 0.75 the accuracy minus the baseline's is
  {strict:+.3f}, at 0.9 it is {very_strict:+.3f}{coarse}.
- It was trained once, from one seed: the intervals hold for these weights on other images, not for other weights.
- The offline data are generated. Their phrases come from a grammar, their objects have clear outlines, and the detector
  knows all of their categories: what transfers to photographs is the method, not a number.
"""))  # fmt: skip
