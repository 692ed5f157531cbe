IMAGE, PHRASES = None, ["the left one", "the largest one"]  # the path of a picture; None takes one of the test split

image = np.array(Image.open(IMAGE).convert("RGB")) if IMAGE else dataset["test"][1].image
answers = methods[OURS](Example(image, [SimpleNamespace(text=phrase) for phrase in PHRASES], ()))
figure, axes = plt.subplots(1, len(PHRASES), figsize=(4 * len(PHRASES), 4), layout="constrained", squeeze=False)
for axis, each in zip(axes[0], answers, strict=True):
    draw(axis, image, each.boxes_xyxy[:1], COLOURS, f"{each.phrase} ({each.scores[0]:.2f})", each.heatmap)
plt.show()
