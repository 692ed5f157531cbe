"""The extraction that was chosen for a run, in its folder: extraction.yaml, and box_quality.safetensors if it asks so.

Both are written beside their place and renamed, the network before the file that names it.
"""

from __future__ import annotations

from pathlib import Path

import yaml
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from grounding.errors import InputError
from grounding.extraction.choice import required_head
from grounding.extraction.quality import BoxQualityHead
from grounding.extraction.settings import ExtractionConfig
from grounding.runtime.config_io import from_plain, plain, read_yaml
from grounding.runtime.files import atomic_write, write_text_atomic

EXTRACTION_FILE = "extraction.yaml"
QUALITY_FILE = "box_quality.safetensors"


def save_extraction(folder: Path, config: ExtractionConfig, quality_head: BoxQualityHead | None = None) -> None:
    """Keep a choice in a run folder, in place of an earlier one.

    Raises:
        InputError: the method is "quality" and there is no head.
    """
    path = folder / QUALITY_FILE
    if config.method == "quality":
        head = required_head(config, quality_head)
        with atomic_write(path) as unfinished:
            save_file(head.state_dict(), unfinished)
    write_text_atomic(folder / EXTRACTION_FILE, yaml.safe_dump(plain(config), sort_keys=False))
    if config.method != "quality":
        path.unlink(missing_ok=True)


def read_extraction(folder: Path) -> tuple[ExtractionConfig, BoxQualityHead | None] | None:
    """The choice kept in a run folder; None where nothing was chosen.

    Raises:
        InputError: a file is damaged, or box_quality.safetensors is named and missing.
    """
    path = folder / EXTRACTION_FILE
    if not path.is_file():
        return None
    try:
        config = from_plain(read_yaml(path), ExtractionConfig)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path} is damaged ({error}): remove it to go back to the run's config.yaml, "
            "then choose again with train.py extraction"
        ) from error
    return config, _read_head(folder / QUALITY_FILE) if config.method == "quality" else None


def _read_head(path: Path) -> BoxQualityHead:
    head = BoxQualityHead()
    try:
        head.load_state_dict(load_file(path))
    except (SafetensorError, OSError, RuntimeError) as error:
        raise InputError(
            f"{path}, which {EXTRACTION_FILE} needs, is missing or damaged: remove {EXTRACTION_FILE}, "
            "then choose again with train.py extraction"
        ) from error
    return head.eval().requires_grad_(False)
