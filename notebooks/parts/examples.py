import itertools
import textwrap

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
figure = plt.figure(figsize=(14, 15.5), layout="constrained")
for part, (title, chosen) in zip(figure.subfigures(4, 1), picked.items(), strict=True):
    part.suptitle(title, x=0.01, ha="left", fontsize=12, weight="bold")
    for axis, i in itertools.zip_longest(part.subplots(1, 5), chosen):
        axis.axis("off")
        if i is not None:
            example = dataset["test"][dataset["test"].image_ids.index(ours[i].phrase.image_id)]
            answer = methods[OURS](example._replace(phrases=[ours[i].phrase]))[0]
            boxes = [ours[i].phrase.boxes_xyxy[0], ours[i].box_xyxy, theirs[i].box_xyxy]
            title = textwrap.fill(f"{ours[i].phrase.text} (IoU {first[i]:.2f})", 36)
            draw(axis, example.image, boxes, ("white", "#e6550d", "#17becf"), title, answer.heatmap)
plt.show()
