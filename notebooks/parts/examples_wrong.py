rows = [{"sent_id": each.sent_id, "image_id": each.image_id, "scores": each.scores, "iou": iou_of(each),
         "prediction": each} for each in predictions]  # fmt: skip
draw_examples([row["prediction"] for row in choose_worst(rows, 4)] or predictions[:1])
