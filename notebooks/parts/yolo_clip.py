import onnxruntime
from torchvision.ops import nms

if OFFLINE:
    DETECTOR_FILE = WEIGHTS / "embedded_yolox.onnx"
else:
    DETECTOR_FILE = RUNS / "yolox_s.onnx"
    if not DETECTOR_FILE.is_file():
        torch.hub.download_url_to_file("https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/"
                                       "yolox_s.onnx", DETECTOR_FILE)  # fmt: skip
DETECTOR = onnxruntime.InferenceSession(str(DETECTOR_FILE), providers=["CPUExecutionProvider"])


def proposals_of(example):
    """(N, 4) boxes that may hold something, N >= 1: where the detector finds nothing, the whole image."""
    entry = DETECTOR.get_inputs()[0]
    size, (height, width) = (entry.shape[3], entry.shape[2]), example.image.shape[:2]
    square, scale = fit(example.image, size)
    bgr = square[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)
    boxes, scores = decode(DETECTOR.run(None, {entry.name: bgr})[0][0], size)
    boxes = np.clip(boxes / np.tile(scale, 2), 0, np.tile((width, height), 2)).astype(np.float32)[scores >= 0.25]
    kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores[scores >= 0.25]), 0.6)[:20]
    return boxes[kept.numpy()] if len(kept) else np.array([[0, 0, width, height]], dtype=np.float32)


def grounding_of_boxes(phrase, boxes, scores, image):
    """The answer of a method that scores boxes; its heatmap is hottest at the best one's centre."""
    order = np.argsort(-scores, kind="stable")
    boxes, heatmap = boxes[order], np.zeros(image.shape[:2], np.float32)
    column, row = ((boxes[0, :2] + boxes[0, 2:]) / 2).astype(int)
    heatmap[row, column] = 1
    return Grounding(phrase, boxes, scores[order], heatmap, image, presence=float(scores.max()))


@torch.inference_mode()
def yolo_clip(example, view):
    """The proposal whose crop, with some surroundings, CLIP finds closest to the phrase."""
    boxes = proposals_of(example)
    pixels = torch.from_numpy(example.image).to(DEVICE).permute(2, 0, 1)[None].float()
    squares = _squares(torch.from_numpy(boxes).to(DEVICE), CONTEXT)
    crops = _resized(pixels, squares, FOUNDATION.model.visual.input_resolution)
    seen = F.normalize(FOUNDATION.image_tower(normalise_pixels(crops.clamp(0, 255))).float(), dim=-1)
    cosines = ENCODER.encode_phrases(example.texts).embeddings @ seen.T
    likely = (FOUNDATION.model.logit_scale.exp() * cosines).softmax(dim=1).cpu().numpy()
    pairs = zip(example.texts, likely, strict=True)
    return [grounding_of_boxes(text, boxes, scores, example.image) for text, scores in pairs]


def best_proposal(example, view):
    """No method but a bound: the proposal that overlaps the annotated box most."""
    boxes = proposals_of(example)
    return [grounding_of_boxes(each.text, boxes, ious_with(boxes, each.boxes_xyxy[0]), example.image)
            for each in example.phrases]  # fmt: skip
