"""A data set without the images that cannot be read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from torch.utils.data import Dataset
from tqdm import tqdm

from grounding.data.supervision import Supervised
from grounding.errors import InputError
from grounding.types import Example, Expression, Region


def find_broken(dataset: Supervised, indices: Iterable[int], *, hide_progress: bool = False) -> dict[int, str]:
    """Read these images once: image id -> what is wrong, of those that cannot be read."""
    broken = {}
    for index in tqdm(
        list(indices), desc="looking for broken images", unit="image", leave=False, disable=hide_progress
    ):
        try:
            dataset[index]
        except InputError as error:
            broken[dataset.expressions_of(index)[0].image_id] = str(error)
    return broken


class WithoutBroken(Dataset[Example]):
    """A data set that is grouped by image, without some images: `Supervised` as the whole is.

    Args:
        dataset: the whole.
        broken: ids of the images that are left out.

    Raises:
        InputError: no image is left.
    """

    def __init__(self, dataset: Supervised, broken: Iterable[int]) -> None:
        left_out = set(broken)
        self._dataset = dataset
        self._kept = [i for i in range(len(dataset)) if dataset.expressions_of(i)[0].image_id not in left_out]
        if not self._kept:
            raise InputError(f"all {len(dataset)} training images are broken: check the data folder")
        self.expressions: Sequence[Expression] = [e for i in self._kept for e in dataset.expressions_of(i)]
        self.regions: Mapping[int, Sequence[Region]] = {
            image_id: regions for image_id, regions in dataset.regions.items() if image_id not in left_out
        }

    def __len__(self) -> int:
        return len(self._kept)

    def __getitem__(self, index: int) -> Example:
        """As the whole data set has it."""
        return self._dataset[self._kept[index]]

    def expressions_of(self, index: int) -> tuple[Expression, ...]:
        """The expressions of an image, without reading it."""
        return self._dataset.expressions_of(self._kept[index])

    def stated_size(self, index: int) -> tuple[int, int] | None:
        """(width, height) in pixels that annotations give for an image; None where they give none."""
        return self._dataset.stated_size(self._kept[index])

    def check_images(self) -> None:
        """Does nothing: what is missing is left out."""
