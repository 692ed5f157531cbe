ours = load(CONFIGURED.output, device=DEVICE)
predictions = list(read_predictions(EVALUATED.output / "predictions" / f"{OURS}.jsonl"))
expressions = {each.sent_id: each for each in splits["test"].expressions}


def iou_of(prediction):
    return float(box_iou(np.array(prediction.boxes_xyxy[:1]), np.array([prediction.annotated_xyxy]))[0, 0])


def draw_examples(chosen):
    """A row each: image with annotated and found box, CLIP's similarity map, the decoder's heatmap, all its boxes."""
    figure = Figure(figsize=(11, 2.75 * len(chosen)), layout="constrained")
    for prediction, axes in zip(chosen, figure.subplots(len(chosen), 4, squeeze=False), strict=True):
        encoded = ours.encode(expressions[prediction.sent_id].image_path)
        [similarity] = ours.similarity_maps(encoded, [prediction.phrase])
        [answer] = ours.ground(encoded, [prediction.phrase])
        for axis in axes:
            show_image(axis, answer.image)
        draw_boxes(axes[0], [prediction.annotated_xyxy], colour=ANNOTATED_COLOUR, linewidth=2.6)
        draw_boxes(axes[0], answer.boxes_xyxy[:1])
        axes[1].clear()
        show_image(axes[1], similarity, cmap=COLOUR_MAP)
        axes[2].clear()
        show_image(axes[2], heatmap_overlay(answer.image, answer.heatmap))
        draw_boxes(axes[3], answer.boxes_xyxy[:3], [f"{score:.2f}" for score in answer.scores[:3]])
        titles = [f'"{prediction.phrase}"\nIoU {iou_of(prediction):.2f}', "similarity map, before the decoder",
                  "heatmap, after it", "best boxes with scores"]  # fmt: skip
        for axis, title in zip(axes, titles, strict=True):
            axis.set_title(title, fontsize=8.5, wrap=True, parse_math=False)
    keep_labels_inside(figure)
    show(figure, dpi=95, kind="jpeg")


shuffled = [predictions[index] for index in np.random.default_rng(0).permutation(len(predictions))]
one_per_image = {each.image_id: each for each in shuffled if iou_of(each) >= 0.5}
draw_examples(list(one_per_image.values())[:4] or predictions[:1])
