IMAGE, PHRASES = None, ["the left one", "the largest one"]  # the path of a picture; None takes one of the test split

image = np.array(Image.open(IMAGE).convert("RGB")) if IMAGE else dataset["test"][1].image
seen = updated_encoder(TESTING, strongest)
figure, axes = plt.subplots(1, len(PHRASES), figsize=(4 * len(PHRASES), 4), layout="constrained", squeeze=False)
answers = ground(seen, strongest, seen.encode([image]), image, PHRASES, relative=THRESHOLDS[OURS])
for axis, answer in zip(axes[0], answers, strict=True):
    title = f"{answer.phrase} ({answer.scores[0]:.2f})"
    draw(axis, image, answer.boxes_xyxy[:1], ("#e6550d",), title, answer.heatmap)
plt.show()
