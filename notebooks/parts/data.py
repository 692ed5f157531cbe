import json
import pickle
import re
from collections import namedtuple
from pathlib import Path

import numpy as np
from PIL import Image

# A referring expression: of its objects, one in RefCOCOg, `boxes_xyxy` (N, 4) in pixels of the original image, and ids.
Phrase = namedtuple("Phrase", "text boxes_xyxy ann_ids image_id category tags", defaults=[()])
Region = namedtuple("Region", "ann_id box_xyxy category")  # an annotated object, whether a phrase is about it or not


class Example(namedtuple("Example", "image phrases regions")):
    """An image (H, W, 3) uint8 RGB, with all its phrases and all its annotated objects."""

    @property
    def texts(self):
        return [each.text for each in self.phrases]


class PlainUnpickler(pickle.Unpickler):
    """Reads lists, dicts, strings and numbers: nothing is imported, so that a stranger's file cannot run code."""

    def find_class(self, module, name):
        raise pickle.UnpicklingError(f"the references ask for {module}.{name}, which plain data never does")


def read_references(root, name):
    """RefCOCOg's references from refs(umd).p, or gRefCOCO's, for any number of objects, from grefs(unc).json."""
    path = Path(root) / "annotations" / name
    if path.suffix == ".json":
        return json.loads(path.read_text("utf-8"))
    with path.open("rb") as file:
        return PlainUnpickler(file, encoding="latin-1").load()


class RefCOCOg:
    """One split, image by image, in the order of their first phrase; a smaller subset is part of a larger one."""

    def __init__(self, root, split, *, references="refs(umd).p", subset=None):
        self.split = split
        content = json.loads((Path(root) / "annotations/instances.json").read_text("utf-8"))
        names = {each["id"]: each["name"] for each in content["categories"]}
        files = {each["id"]: each["file_name"] for each in content["images"]}
        self.sizes = {each["id"]: (each["width"], each["height"]) for each in content["images"]}
        folders = [Path(root) / "images/train2014", Path(root) / "images", Path(root) / "train2014"]
        folder = next(each for each in folders if each.is_dir())
        chosen = [each for each in read_references(root, references) if each["split"] == split]
        image_ids = list(dict.fromkeys(each["image_id"] for each in chosen))
        kept = np.random.default_rng(0).permutation(sorted(image_ids))[:subset].tolist()
        self.image_ids = [each for each in image_ids if each in set(kept)]
        self.regions, self.phrases = {each: {} for each in kept}, {each: [] for each in kept}
        # An image is found by its id: the file name in a reference carries the annotation's id and exists nowhere.
        self.paths = {each: folder / files[each] for each in kept}
        for each in content["annotations"]:
            if each["image_id"] in self.regions and not each.get("iscrowd"):
                box = np.clip(box_xywh_to_xyxy(np.array(each["bbox"])), 0, np.tile(self.sizes[each["image_id"]], 2))
                region = Region(each["id"], box.astype(np.float32), names[each["category_id"]])
                self.regions[each["image_id"]][each["id"]] = region
        for each in chosen:
            if each["image_id"] in self.phrases:
                own = self.regions[each["image_id"]]
                objects = [own[i] for i in np.atleast_1d(each["ann_id"]).tolist() if i != -1]  # gRefCOCO: -1 is none
                boxes = np.array([region.box_xyxy for region in objects], dtype=np.float32).reshape(-1, 4)
                self.phrases[each["image_id"]] += [
                    Phrase(sentence["sent"], boxes, tuple(region.ann_id for region in objects), each["image_id"],
                           objects[0].category if objects else "", tuple(sentence.get("tags", ())))
                    for sentence in each["sentences"]
                ]  # fmt: skip
        self.all_phrases = [phrase for image_id in self.image_ids for phrase in self.phrases[image_id]]

    def __len__(self):
        return len(self.image_ids)

    def __getitem__(self, index):
        image_id = self.image_ids[index]
        image = np.array(Image.open(self.paths[image_id]).convert("RGB"))
        assert image.shape[1::-1] == self.sizes[image_id], f"{self.paths[image_id]} does not fit its boxes"
        return Example(image, self.phrases[image_id], list(self.regions[image_id].values()))


def absent_phrases(dataset, *, tries=20):
    """Image id -> a phrase of another image that fits nothing here: it names a category that no object is of."""
    naming = [each for each in dataset.all_phrases
              if each.category and re.search(rf"\b{re.escape(each.category)}\b", each.text.lower())]  # fmt: skip
    found = {}
    for image_id in dataset.image_ids if naming else ():
        here = {region.category for region in dataset.regions[image_id].values()}
        drawn = np.random.default_rng([0, image_id]).integers(len(naming), size=tries)
        others = [naming[index] for index in drawn if naming[index].category not in here][:1]
        found[image_id] = [Phrase(each.text, np.zeros((0, 4), np.float32), (), image_id, "") for each in others]
    return found
