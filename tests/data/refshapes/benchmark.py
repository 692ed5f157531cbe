"""RefShapes written and read back, each expression with the scene that its image was made from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from grounding.data.refcocog import RefCOCOg
from grounding.data.refshapes.scenes import Scene, SceneObject
from grounding.data.refshapes.writer import make_split_scene, write_refshapes
from grounding.types import Expression
from tests.data.refshapes.reader import Meaning, Thing, read_phrase


@dataclass(frozen=True)
class Told:
    """One written expression with the scene that its image was made from."""

    expression: Expression
    scene: Scene
    target: int
    meaning: Meaning

    @property
    def item(self) -> SceneObject:
        return self.scene.objects[self.target]


@dataclass(frozen=True)
class Benchmark:
    """A written benchmark, read back."""

    root: Path
    scenes: dict[str, list[Scene]]
    told: dict[str, list[Told]]

    @property
    def everything_told(self) -> list[Told]:
        return [told for split in self.told.values() for told in split]


def written_benchmark(root: Path, counts: Mapping[str, int]) -> Benchmark:
    """Write so many images of each split, and read them back."""
    write_refshapes(root, counts)
    scenes = {split: [make_split_scene(split, i, 0)[0] for i in range(count)] for split, count in counts.items()}
    told: dict[str, list[Told]] = {}
    ann_id = 1
    for split, of_split in scenes.items():
        owner = {}
        for scene in of_split:
            for target in range(len(scene.objects)):
                owner[ann_id] = (scene, target)
                ann_id += 1
        told[split] = [Told(e, *owner[e.ann_id], read_phrase(e.phrase)) for e in RefCOCOg(root, split).expressions]
    return Benchmark(root, scenes, told)


def things(objects: tuple[SceneObject, ...]) -> list[Thing]:
    names = ("shape", "colour", "texture", "size")
    return [Thing({name: getattr(item, name) for name in names}, item.box_xyxy) for item in objects]
