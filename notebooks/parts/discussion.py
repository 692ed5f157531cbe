def value(name, measure="acc@0.5"):
    record = METHODS.get(name) or RESULTS["bounds"][name]
    return f"{record['metrics'][measure]:.3f}"


def against(name, measure="acc@0.5"):
    """Ours minus another method, in words."""
    low, high = METHODS[name]["behind"][measure]["interval"]
    said = {"better": "above", "worse": "below", "not separable": "not separable from"}[verdict(low, high)]
    return f"{said} {name} ({METHODS[name]['behind'][measure]['difference']:+.3f}, 95 % [{low:+.3f}, {high:+.3f}])"


def rank(words, numbers, *, highest):
    best = (max if highest else min)(range(len(words)), key=lambda index: numbers[index])
    return f"{words[best]} ({numbers[best]:.3f})"


axes = METHODS["ours"]["breakdowns"]
groups = {f"{axis}: {kind}": part["metrics"]["acc@0.5"] for axis, kinds in axes.items() for kind, part in kinds.items()
          if axis != "category" and part["n"] >= 20}  # fmt: skip
groups = groups or {"all": METHODS["ours"]["metrics"]["acc@0.5"]}
subsets = "; ".join(
    f"{name} {part['metrics']['acc@0.5']:.3f} (reclip {METHODS['reclip']['subsets'][name]['metrics']['acc@0.5']:.3f})"
    for name, part in METHODS["ours"].get("subsets", {}).items()
)
wrong = [each for each in predictions if iou_of(each) < 0.5]
on_another = 0
for each in wrong:
    boxes = np.array([region.box_xyxy for region in splits["test"].regions[each.image_id]])
    ids = [region.ann_id for region in splits["test"].regions[each.image_id]]
    overlaps = box_iou(np.array(each.boxes_xyxy[:1]), boxes)[0]
    on_another += bool(overlaps.max() >= 0.5 and ids[int(overlaps.argmax())] != each.ann_id)
gap = float(value("ours", "pointing")) - float(value("ours"))
strict = float(value("ours", "acc@0.75")) - float(value("yolo-clip", "acc@0.75"))
curve = {share: values["acc@0.5"].mean() for share, values in supervised.items()}
weak_change = paired_difference(supervised[0.0]["acc@0.5"], untrained["acc@0.5"], image_ids)

display(Markdown(f"""
### 7.1 What the numbers say

Measured on {METHODS['ours']['n']:,} expressions of {RESULTS['images']:,} test images of {NAME}; {RESULTS['weights']}.

- **The decoder is what CLIP lacks.** Acc@0.5 of {value('ours')} is {against('zero-shot')}: the same CLIP, the
  same input size, without the decoder. Pointing goes from {value('zero-shot', 'pointing')} to {value('ours', 'pointing')},
  mIoU from {value('zero-shot', 'miou')} to {value('ours', 'miou')}. How much of the gain is in *where* and how
  much in *how far*, is the difference between these: a map that is hottest on the right object may still draw a poor box.
- **Against the baseline** it is {against('yolo-clip')} in Acc@0.5 and {against('yolo-clip', 'miou')} in mIoU. The baseline
  gets its boxes from a detector that was trained on these categories; that detector's best box would reach
  {value('yolo-oracle')}, and CLIP with perfect boxes {value('annotated-clip')}: what holds the baseline back is
  {'the choice among boxes more than the boxes' if float(value('yolo-oracle')) > float(value('annotated-clip')) else 'the boxes more than the choice among them'}.
- **Against rules for spatial words** ours is {against('reclip')}. Rules know the relations that they were written for.
- **Chance** is far away: a random proposal reaches {value('random-proposal')}, a centred box {value('centred-box')}.
- **Subsets** (Acc@0.5): {subsets or 'the data set names none'}.
- **Meaning.** The predicted crop and the phrase have a cosine of {value('ours', 'text_cosine')}
  (distance {value('ours', 'text_euclidean')}), the annotated crop and the phrase {value('ours', 'annotated_text_cosine')}
  ({value('ours', 'annotated_text_euclidean')}); predicted and annotated crop {value('ours', 'crop_cosine')}
  ({value('ours', 'crop_euclidean')}). For {rank(list(METHODS), [float(value(name, 'text_cosine')) for name in METHODS], highest=True)}
  the similarity with the phrase is highest. That a method chooses crops by this very similarity is one way to get
  there, so it measures agreement with CLIP rather than correctness.

### 7.2 Strengths

- One pass of a frozen image tower serves all phrases about an image, and there is no detector and no list of categories.
- The heatmap says where the evidence is, also where the box is wrong; it can be inspected before and after the decoder.
- It learns with any share of boxes. Acc@0.5 on validation goes {', '.join(f'{curve[share]:.3f} at {share:.0%}' for share in curve)}
  of the images with boxes, from {untrained['acc@0.5'].mean():.3f} without training; with no box at all the change
  is {signed(weak_change)}, {verdict(*weak_change.interval)}.
- It is best at {rank(list(groups), list(groups.values()), highest=True)}.

### 7.3 Weaknesses

- It is worst at {rank(list(groups), list(groups.values()), highest=False)}.
- Of its {len(wrong):,} wrong answers {on_another / max(len(wrong), 1):.0%} are a good box of *another* annotated object: the
  phrase was misread, not the outline. The others are boxes that fit no object well.
- In {gap:+.3f} of the phrases more the heatmap points into the right box than the best box has an IoU of 0.5:
  what a threshold loses. At the strict threshold of 0.75 its accuracy minus the baseline's is {strict:+.3f}.
  The ideal mask at the decoder's resolution bounds what can be had there: Acc@0.9 of {value('box-mask', 'acc@0.9')}, ours
  {value('ours', 'acc@0.9')}.
- Trained once, with one seed. The intervals hold for these weights on other images, not for other weights.
- The offline data are generated. Their phrases come from a grammar, their objects have clear outlines, the detector
  knows all of their categories: what transfers to photographs is the method, not a number.
"""))  # fmt: skip
