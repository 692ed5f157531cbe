"""Any data set by its place on disk: what lies there says which reader it is for."""

from __future__ import annotations

import os
from pathlib import Path

from grounding.data.dataset import GroundingDataset, Grouping
from grounding.data.flickr30k import Flickr30kEntities, is_flickr30k
from grounding.data.pairs import ImagePhrasePairs, table_at
from grounding.data.refcocog import RefCOCOg, is_annotated
from grounding.data.tar_samples import ImagePhraseShards


def open_dataset(
    root: str | os.PathLike[str],
    split: str,
    *,
    split_by: str = "umd",
    boxed: bool = True,
    group_by: Grouping = "image",
    subset: int | float | None = None,
    seed: int = 0,
) -> GroundingDataset:
    """One split of a data set.

    Args:
        root: a file that ends in .csv or .jsonl is a table of one's own (`ImagePhrasePairs`), as is a folder with one
            such file and no `annotations/`; a folder of .tar files, or a pattern of them, is `ImagePhraseShards`; a
            folder with `Sentences/` or `flickr30k-images/` is Flickr30k Entities; any other has RefCOCOg's layout.
        split: which part.
        split_by: who made the parts, in RefCOCOg's layout; the others have one division, and do not ask.
        boxed: whether phrases without a box are left out; in RefCOCOg's layout each has one.
        group_by, subset, seed: as in `GroundingDataset`.

    Raises:
        InputError: the data set cannot be used, as its reader says.

    Example:
        >>> type(grounding.open_dataset("data/refshapes", "val")).__name__
        'RefCOCOg'
    """
    root = Path(root)
    if is_flickr30k(root):
        return Flickr30kEntities(root, split, boxed=boxed, group_by=group_by, subset=subset, seed=seed)
    if table := table_at(root):
        return ImagePhrasePairs(table, split, boxed=boxed, group_by=group_by, subset=subset, seed=seed)
    if root.suffix == ".tar" or (any(root.glob("*.tar")) and not is_annotated(root)):
        return ImagePhraseShards(root, split, boxed=boxed, subset=subset)
    return RefCOCOg(root, split, split_by=split_by, group_by=group_by, subset=subset, seed=seed)
