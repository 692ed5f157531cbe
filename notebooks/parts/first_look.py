import textwrap

dataset = {split: RefCOCOg(DATA, split, subset=getattr(SETTINGS, split)) for split in ("train", "val", "test")}
dataset["unboxed"] = RefCOCOg(DATA, "train", subset=SETTINGS.unboxed)
table(["split", "images used", "expressions", "objects annotated", "mean words"],
      [[split, f"{len(of):,}", f"{len(of.all_phrases):,}", f"{sum(map(len, of.regions.values())):,}",
        f"{np.mean([len(each.text.split()) for each in of.all_phrases]):.1f}"]
       for split, of in dataset.items()])  # fmt: skip
figure, axes = plt.subplots(1, 4, figsize=(14, 4.4), layout="constrained")
for axis, index in zip(axes, np.random.default_rng(1).permutation(len(dataset["val"])), strict=False):
    example = dataset["val"][index]
    shown = list({each.ann_ids: each for each in example.phrases}.values())[:6]  # one phrase an object
    draw(axis, example.image, [each.boxes_xyxy[0] for each in shown], COLOURS, "")
    for line, (each, colour) in enumerate(zip(shown, COLOURS, strict=False)):
        axis.annotate(textwrap.shorten(each.text, 52), (0, 0), xycoords="axes fraction", xytext=(0, -11 * (line + 1)),
                      textcoords="offset points", color=colour, fontsize=8)  # fmt: skip
plt.show()
