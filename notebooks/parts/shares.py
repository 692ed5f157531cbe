def with_pseudo_boxes(kept):
    """The small training set: some images keep their boxes, the others get what the adapters answer."""
    images = images_of("train", SMALL)
    for index in set(SMALL.tolist()) - set(kept.tolist()):
        example = images.dataset[index]
        pairs = zip(example.phrases, ground(ENCODER, WEAK, images.view(index), example.texts), strict=True)
        images.phrases[index] = [phrase._replace(boxes_xyxy=answer.boxes_xyxy[:1]) for phrase, answer in pairs]
    return images


SHARES = (0.05, 0.25)
boxes_only, with_pseudo = {}, {}
for share in (0.0, *SHARES):
    kept = SMALL[: math.ceil(share * len(SMALL))]
    if share:
        boxes_only[share] = small_run(f"boxes {share}", new_decoder(), chosen=kept)
    with_pseudo[share] = small_run(f"pseudo {share}", new_decoder(), images=with_pseudo_boxes(kept))
boxes_only[1.0] = with_pseudo[1.0] = ABLATION["region adapter, box masks, presence"]

figure, axes = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
for axis, measure_ in zip(axes, ("Acc@0.5", "Pointing"), strict=True):
    for label, of in (("annotated boxes alone", boxes_only), ("and pseudo-boxes elsewhere", with_pseudo)):
        axis.plot([100 * share for share in of], [each[measure_] for each in of.values()], "o-", label=label)
    axis.axhline(untrained[measure_], color="grey", linewidth=1, label="CLIP's own map")
    axis.set(xlabel="images with annotated boxes, in per cent", title=measure_)
    axis.grid(alpha=0.3)
axes[0].legend(fontsize=8)
plt.show()
