import onnxruntime
from torchvision.ops import nms

YOLOX = "https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_s.onnx"
DETECTOR_FILE = WEIGHTS / "embedded_yolox.onnx" if OFFLINE else RUNS / Path(YOLOX).name
if not DETECTOR_FILE.is_file():
    torch.hub.download_url_to_file(YOLOX, DETECTOR_FILE)
DETECTOR = onnxruntime.InferenceSession(str(DETECTOR_FILE), providers=["CPUExecutionProvider"])


def proposals_of(example):
    """(N, 4) boxes that may hold something, N >= 1: where the detector finds nothing, the whole image."""
    entry, (height, width) = DETECTOR.get_inputs()[0], example.image.shape[:2]
    rows, columns = entry.shape[2:]
    ratio = min(columns / width, rows / height)
    content = Image.fromarray(example.image).resize((int(width * ratio), int(height * ratio)), Image.Resampling.BICUBIC)
    square = np.full((rows, columns, 3), 114, dtype=np.uint8)  # YOLOX's own gray; the image is in the upper left
    square[: content.height, : content.width] = np.asarray(content)
    pixels = square[..., ::-1].transpose(2, 0, 1)[None].astype(np.float32)  # it has learned from BGR
    output = DETECTOR.run(None, {entry.name: pixels})[0][0]  # a row for each anchor point of each stride
    centres, sizes = output[:, :2], output[:, 2:4]
    if (sizes <= 0).any():  # logarithms, and offsets in the grid of each stride
        grids = {each: np.indices((rows // each, columns // each))[::-1].reshape(2, -1).T for each in (8, 16, 32)}
        strides = np.concatenate([np.full((len(grid), 1), stride) for stride, grid in grids.items()])
        centres = (centres + np.concatenate(list(grids.values()))) * strides
        sizes = np.exp(sizes) * strides
    scale = np.tile((content.width / width, content.height / height), 2)
    boxes = np.concatenate([centres - sizes / 2, centres + sizes / 2], axis=1) / scale
    scores = output[:, 4] * output[:, 5:].max(axis=1)
    boxes = np.clip(boxes, 0, np.tile((width, height), 2)).astype(np.float32)[scores >= 0.25]
    kept = nms(torch.from_numpy(boxes), torch.from_numpy(scores[scores >= 0.25]), 0.6)[:20]
    return boxes[kept.numpy()] if len(kept) else np.array([[0, 0, width, height]], dtype=np.float32)
