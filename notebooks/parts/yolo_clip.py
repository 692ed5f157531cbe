def grounding_of_boxes(phrase, boxes, scores, image):
    """The answer of a method that scores boxes; its heatmap is hottest at the best one's centre."""
    order = np.argsort(-scores, kind="stable")
    boxes, heatmap = boxes[order], np.zeros(image.shape[:2], np.float32)
    column, row = ((boxes[0, :2] + boxes[0, 2:]) / 2).astype(int)
    heatmap[row, column] = 1
    return Grounding(phrase, boxes, scores[order], heatmap, float(scores.max()))


def crops_of(image, boxes, *, context=1.25):
    """(N, S, S, 3) uint8: squares about the boxes at CLIP's input size. Squashed, a diamond would be a square."""
    size, pad = FOUNDATION.model.visual.input_resolution, max(image.shape)
    padded = Image.fromarray(np.pad(image, ((pad, pad), (pad, pad), (0, 0)), mode="edge"))
    centres, half = (boxes[:, :2] + boxes[:, 2:]) / 2 + pad, context * (boxes[:, 2:] - boxes[:, :2]).max(axis=1) / 2
    squares = np.concatenate([centres - half[:, None], centres + half[:, None]], axis=1).tolist()
    return np.stack([padded.resize((size, size), Image.Resampling.BICUBIC, box=square) for square in squares])


@torch.inference_mode()
def yolo_clip(example, view):
    """The proposal whose crop CLIP finds closest to the phrase."""
    boxes = proposals_of(example)
    pixels = torch.from_numpy(crops_of(example.image, boxes)).to(DEVICE).permute(0, 3, 1, 2)
    seen = F.normalize(FOUNDATION.image_tower(normalise_pixels(pixels)).float(), dim=-1)
    cosines = ENCODER.encode_phrases(example.texts).embeddings @ seen.T
    likely = (FOUNDATION.model.logit_scale.exp() * cosines).softmax(dim=1).cpu().numpy()
    return [grounding_of_boxes(text, boxes, scores, example.image)
            for text, scores in zip(example.texts, likely, strict=True)]  # fmt: skip


def best_proposal(example, view):
    """No method but a bound: the proposal that overlaps the annotated box most."""
    boxes = proposals_of(example)
    return [grounding_of_boxes(each.text, boxes, ious_with(boxes, each.boxes_xyxy[0]), example.image)
            for each in example.phrases]  # fmt: skip
