"""How boxes are best made from a method's heatmaps, chosen on a validation split before a comparison."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from torch.utils.data import Subset

from grounding.evaluation.extraction_sweep import GRID, sweep
from grounding.extraction import ExtractionConfig
from grounding.methods.dense import DenseGrounder
from grounding.runtime.config_io import plain
from grounding.runtime.files import write_text_atomic
from grounding.types import Example

# The quality head is fitted on boxes, which a training-free method has not seen.
SETTINGS = [setting for setting in GRID if setting.method != "quality"]


class ExtractionTuner:
    """Chooses the setting of `SETTINGS` with the highest mIoU on a split, so that no method is measured untuned.

    What was chosen is kept beside the comparison, and chosen anew where the method, the data or the code is another.

    Args:
        dataset: the split, grouped by image; not the one that is measured.
        folder: for NAME.json, one a method.
        made_from: what the choice depends on besides the method, as JSON has it.
        images_per_batch, workers: as for `sweep`.
    """

    def __init__(
        self, dataset: Subset[Example], folder: Path, made_from: dict[str, Any], *, images_per_batch: int, workers: int
    ) -> None:
        self._dataset, self._folder, self._made_from = dataset, folder, made_from
        self._images_per_batch, self._workers = images_per_batch, workers
        self.chosen_on = f"{made_from['split']}, {len(dataset)} images"

    def __call__(self, grounder: DenseGrounder, made_from: dict[str, Any]) -> ExtractionConfig:
        """The best setting for a method.

        Args:
            grounder: the method; its own extraction does not matter.
            made_from: all that its heatmaps depend on.

        Raises:
            InputError: an image cannot be read.
        """
        path = self._folder / f"{grounder.name}.json"
        origin = json.loads(json.dumps({**self._made_from, "method": made_from}))
        known = _read(path)
        if known.get("made_from") != origin:
            measured = sweep(grounder, self._dataset, SETTINGS, images_per_batch=self._images_per_batch,
                             workers=self._workers, description=f"{grounder.name}: boxes from heatmaps")  # fmt: skip
            best = max(SETTINGS, key=lambda setting: measured[setting]["miou"])
            rows = [{"extraction": plain(setting), **measures} for setting, measures in measured.items()]
            known = {"made_from": origin, "best": SETTINGS.index(best), "rows": rows}
            write_text_atomic(path, json.dumps(known, indent=2) + "\n")
        return SETTINGS[known["best"]]


def _read(path: Path) -> dict[str, Any]:
    """A choice that was made before; nothing where there is none, or a damaged one."""
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        return known if isinstance(known, dict) and known.get("best") in range(len(SETTINGS)) else {}
    except (OSError, ValueError):
        return {}
