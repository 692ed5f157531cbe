class WithPseudoBoxes(TrainingImages):
    """Images of which some keep their boxes, and the others get what the adapters answer."""

    def __init__(self, images, kept, model):
        super().__init__(images.dataset, ENCODER, stride=images.stride, chosen=images.chosen, known=images.known)
        for index in set(self.chosen.tolist()) - set(kept.tolist()):
            example = self.dataset[index]
            answers = ground(ENCODER, model, self.view(index), example.image, example.texts, relative=WEAK_RELATIVE)
            self.phrases[index] = [replace(each, boxes_xyxy=answer.boxes_xyxy[:1]) for each, answer in
                                   zip(example.phrases, answers, strict=True)]  # fmt: skip


WEAK_RELATIVE = THRESHOLDS["ours, trained here without boxes"]
SHARES = (0.05, 0.25)
began, boxes_only, with_pseudo = time.perf_counter(), {}, {}
for share in (0.0, *SHARES):
    kept = SMALL[: math.ceil(share * len(SMALL))]
    if share:
        boxes_only[share] = small_run(f"boxes {share}", new_decoder(), chosen=kept)
    mixed = WithPseudoBoxes(images_of("train", SMALL), kept, WEAK)
    with_pseudo[share] = small_run(f"pseudo {share}", new_decoder(), images=mixed)
boxes_only[1.0] = with_pseudo[1.0] = ABLATION["region adapter, box masks, presence"]

figure, axes = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
for axis, measure_ in zip(axes, ("Acc@0.5", "Pointing"), strict=True):
    for label, of, style in (("annotated boxes alone", boxes_only, "o-"),
                             ("and pseudo-boxes elsewhere", with_pseudo, "s--")):  # fmt: skip
        axis.plot([100 * share for share in of], [each[measure_] for each in of.values()], style, label=label)
    axis.axhline(untrained[measure_], color="grey", linewidth=1, label="CLIP's own map")
    axis.set(xlabel="images with annotated boxes, in per cent", title=measure_)
    axis.grid(alpha=0.3)
axes[0].legend(fontsize=8)
plt.show()
print(f"{SETTINGS.steps} steps over {len(SMALL)} images; {(time.perf_counter() - began) / 60:.1f} minutes")
