example = splits["test"][0]
PICTURE = example.expressions[0].image_path  # or a path of your own: OPENED_IN / "street.jpg"
PHRASES = example.phrases[:3]  # or your own: ["the woman in the red coat", "a parked bicycle"]

answers = ours.ground(PICTURE, PHRASES)
height, width = answers[0].image.shape[:2]
figure = Figure(figsize=(3.6 * len(answers), 3.4 * height / width + 0.4), layout="constrained")
for axis, answer in zip(figure.subplots(1, len(answers), squeeze=False)[0], answers, strict=True):
    show_image(axis, heatmap_overlay(answer.image, answer.heatmap))
    draw_boxes(axis, answer.boxes_xyxy[:1], [f"{answer.scores[0]:.2f}"])
    axis.set_title(f'"{answer.phrase}"', fontsize=9, wrap=True, parse_math=False)
keep_labels_inside(figure)
show(figure, dpi=95, kind="jpeg")
