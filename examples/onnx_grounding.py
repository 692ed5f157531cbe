"""Where is it? `python examples/onnx_grounding.py EXPORTED photo.jpg "the red car"`: ONNX Runtime, no PyTorch."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
from onnxruntime import InferenceSession
from PIL import Image, ImageOps
from tokenizers import Tokenizer


def read(path):  # as the library reads: upright, 16 bits as 8, over white what is transparent
    file = Image.open(path)
    assert file.format != "TIFF" or file.mode != "I", "numbers of more than 16 bits: nobody knows what is white"
    image = ImageOps.exif_transpose(file)
    if image.mode.startswith("I"):
        image = Image.fromarray(np.uint8((np.array(image).astype(int) + 128) // 257))
    if image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema() != (0, 0):
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image.convert("RGBA"))
    return image.convert("RGB")


class OnnxGrounder:
    def __init__(self, folder):
        self.settings = json.loads((Path(folder) / "export.json").read_text())
        self.tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
        self.networks = {path.stem: InferenceSession(path) for path in Path(folder).glob("*.onnx")}

    def run(self, name, **inputs):
        network = self.networks[name]
        return dict(zip([output.name for output in network.get_outputs()], network.run(None, inputs), strict=True))

    def heatmaps(self, image, phrases):
        ids = np.array([encoding.ids for encoding in self.tokenizer.encode_batch(phrases)])
        assert ids.shape[1] <= self.settings["context_length"], "a phrase is too long"
        assert ((ids > 0).sum(axis=1) > 2).all(), "a phrase is empty"
        asked = self.run("text_tower", ids=ids) | {"image_index": np.zeros(len(phrases), dtype=np.int64)}
        of_each_size = []
        for size in self.settings["sizes"]:  # the image is scaled to fit a square, centred and padded
            content = [max(1, round(side * (size / max(image.size)))) for side in image.size]
            start = [(size - side) // 2 for side in content]
            square = Image.new("RGB", (size, size), tuple(self.settings["padding_rgb"]))
            square.paste(image.resize(content, Image.Resampling.BICUBIC), start)
            heats = self.run("decoder", **self.run("image_tower", squares=np.array(square)[None]), **asked)["heatmaps"]
            of_each_size.append([self.over_image(heat, image.size, content, start) for heat in heats])
        return np.mean(of_each_size, axis=0)

    def over_image(self, heat, image_size, content, start):
        stride, cells, matrix = self.settings["heatmap_stride"], [], np.zeros((2, 3))
        for axis in (0, 1):  # x, y: cells whose centres show the image, and where its pixels' centres lie among them
            low, high = start[axis], start[axis] + content[axis]
            first, end = (-(-(2 * edge - stride) // (2 * stride)) for edge in (low, high))
            cells.append(list(range(first, end)) or [(low + high) // (2 * stride)])
            gain = content[axis] / image_size[axis] / stride
            matrix[axis, [axis, 2]] = gain, gain / 2 + low / stride - 0.5 - cells[axis][0]
        inside, bilinear = heat[np.ix_(cells[1], cells[0])], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return cv2.warpAffine(inside, matrix, image_size, flags=bilinear, borderMode=cv2.BORDER_REPLICATE)

    def boxes(self, heat):  # (x1, y1, x2, y2) and highest heat of each connected region that is hot, best first
        threshold = min(max(self.settings["relative"] * heat.max(), self.settings["absolute"]), heat.max())
        count, labels, stats, _ = cv2.connectedComponentsWithStats((heat >= threshold).astype(np.uint8), connectivity=8)
        regions = [(float(heat[labels == number].max()), *stats[number].tolist()) for number in range(1, count)]
        regions.sort(key=lambda region: (-region[0], -region[5]))
        return [((x, y, x + width, y + height), score) for score, x, y, width, height, _ in regions]


if __name__ == "__main__":
    sys.stdout.reconfigure(errors="backslashreplace")
    grounder = OnnxGrounder(sys.argv[1])
    for phrase, heatmap in zip(sys.argv[3:], grounder.heatmaps(read(sys.argv[2]), sys.argv[3:]), strict=True):
        print(phrase, *grounder.boxes(heatmap), sep="\n  ")
