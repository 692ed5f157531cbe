"""Files in the form of Flickr30k Entities, as small as a test needs them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

# Of each image (width, height), captions, and objects: the chains an object is of, and its box as the files have it
# (pixels counted from 1, the last one inside), or the flags (scene, nobndbox).
Objects = Sequence[tuple[Sequence[int], Sequence[int]]]
STREET, FIELD = 1007, 36979
IMAGES: dict[int, tuple[tuple[int, int], Sequence[str], Objects]] = {
    STREET: (
        (100, 60),
        [
            "[/EN#1/people Two men] sit on [/EN#2/other a bench] near [/EN#0/notvisual each other] .",
            "[/EN#3/people/clothing A man in a hat] waits in [/EN#4/scene the street] .",
            "Nothing that anybody has tied to a box .",
            "[/EN#1/people The men] look at [/EN#5/other something] .",
            "[/EN#9/animals A cat] sleeps .",
        ],
        [
            ((1, 3), (11, 11, 30, 50)),
            ((1,), (61, 11, 80, 50)),
            ((2,), (41, 21, 60, 40)),
            ((4,), (1, 0)),
            ((5,), (0, 1)),
            ((9,), (1, 1, 10, 10)),
        ],
    ),
    FIELD: (
        (80, 80),
        ["[/EN#20/animals A dog] runs .", "[/EN#21/vehicles Cars] stand in a row ."],
        [((20,), (1, 1, 70, 80)), ((21,), (21, 21, 60, 60)), ((21,), (1, 71, 4, 80))],
    ),
}


def xml(image_id: int, size: tuple[int, int], objects: Objects) -> str:
    """An annotation as the data set's files have it."""
    lines = [f"<annotation><filename>{image_id}.jpg</filename>",
             f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"]  # fmt: skip
    for chains, values in objects:
        names = ("scene", "nobndbox") if len(values) == 2 else ("xmin", "ymin", "xmax", "ymax")
        inside = "".join(f"<{name}>{value}</{name}>" for name, value in zip(names, values, strict=True))
        inside = f"<bndbox>{inside}</bndbox>" if len(values) == 4 else inside
        lines.append("<object>" + "".join(f"<name>{chain}</name>" for chain in chains) + inside + "</object>")
    return "\n".join([*lines, "</annotation>"])


def write_flickr30k(root: Path, splits: Mapping[str, Sequence[int]] | None = None) -> Path:
    """Both images in the lists of the splits, by default both in test; STREET has one caption of another image."""
    for name in ("Sentences", "Annotations", "flickr30k-images"):
        (root / name).mkdir(parents=True)
    for image_id, (size, captions, objects) in IMAGES.items():
        (root / "Sentences" / f"{image_id}.txt").write_text("\n".join(captions) + "\n")
        (root / "Annotations" / f"{image_id}.xml").write_text(xml(image_id, size, objects))
        Image.new("RGB", size, (image_id % 250, 90, 40)).save(root / "flickr30k-images" / f"{image_id}.jpg")
    for split, ids in (splits or {"test": list(IMAGES)}).items():
        (root / f"{split}.txt").write_text("".join(f"{image_id}\n" for image_id in ids))
    (root / "UNRELATED_CAPTIONS").write_text(f"# format: <imageID> <sentence number>\n{STREET} 5\n")
    return root
