ours, theirs = results[OURS], results["YOLO + CLIP"]
first = np.array([each.ious[0] for each in ours])
other = np.array([each.ious[0] for each in theirs])
sure = np.array([each.score * max(each.presence, 0) for each in ours])
shuffled = np.random.default_rng(0).permutation(len(ours))
picked = {  # drawn by lot among those that qualify; the worst by how sure they were
    "right": [i for i in shuffled if first[i] >= 0.8][:5],
    "worst: surest of those that miss the object": [i for i in np.argsort(-sure) if first[i] < 0.1][:5],
    "disputed: ours right, YOLO + CLIP wrong": [i for i in shuffled if first[i] >= 0.5 > other[i]][:5],
    "disputed: YOLO + CLIP right, ours wrong": [i for i in shuffled if other[i] >= 0.5 > first[i]][:5],
}
figure, axes = plt.subplots(4, 5, figsize=(14, 16.5), layout="constrained")
for row, (title, chosen) in zip(axes, picked.items(), strict=True):
    for axis in row:
        axis.axis("off")
    for axis, i in zip(row, chosen, strict=False):
        example = dataset["test"][dataset["test"].image_ids.index(ours[i].phrase.image_id)]
        answer = methods[OURS](replace(example, phrases=[ours[i].phrase]), TESTING.encode([example.image]))[0]
        shaded = plt.cm.viridis(answer.heatmap)[..., :3] * 255
        boxes = [ours[i].phrase.boxes_xyxy[0], ours[i].box_xyxy, theirs[i].box_xyxy]
        draw(axis, (0.6 * example.image + 0.4 * shaded).astype(np.uint8), boxes, ("white", "#e6550d", "#17becf"),
             textwrap.fill(f"{ours[i].phrase.text} (IoU {first[i]:.2f})", 34))  # fmt: skip
    row[0].text(0, 1.22, title, transform=row[0].transAxes, fontsize=12, weight="bold")
plt.show()
