import textwrap

dataset = {split: RefCOCOg(DATA, split, subset=count) for split, count in
           (("train", SETTINGS.train), ("val", SETTINGS.val), ("test", SETTINGS.test))}  # fmt: skip
table(["split", "images used", "expressions", "objects annotated", "mean words"],
      [[split, f"{len(of):,}", f"{len(of.all_phrases):,}", f"{sum(map(len, of.regions.values())):,}",
        f"{np.mean([len(each.text.split()) for each in of.all_phrases]):.1f}"]
       for split, of in dataset.items()])  # fmt: skip
figure, axes = plt.subplots(1, 4, figsize=(13, 4.2), layout="constrained")
for axis, index in zip(axes, np.random.default_rng(1).permutation(len(dataset["val"])), strict=False):
    example = dataset["val"][index]
    shown = list({each.ann_ids: each for each in example.phrases}.values())[:6]  # one phrase an object
    draw(axis, example.image, [each.boxes_xyxy[0] for each in shown], COLOURS, "")
    for line, (each, colour) in enumerate(zip(shown, COLOURS, strict=False)):
        axis.text(0, -0.04 - 0.06 * line, textwrap.fill(each.text, 60), color=colour, fontsize=8, va="top",
                  transform=axis.transAxes)  # fmt: skip
plt.show()
