"""What a training run learns from and is validated on."""

from __future__ import annotations

from grounding.data.annotations import find_layout
from grounding.data.batches import TrainingItems, collate
from grounding.data.dataloader import GlobalBatches, ImageLoader
from grounding.data.dataset import GroundingDataset
from grounding.data.grefcoco import GRefCOCO
from grounding.data.open_dataset import open_dataset
from grounding.data.pairs import ImagePhrasePairs
from grounding.data.sets import absent_expressions
from grounding.data.streamed_pairs import StreamedItems, collate_readable
from grounding.data.supervision import Supervised, WithoutBroken, find_broken, refuse_test_split
from grounding.data.tar_samples import ImagePhraseShards
from grounding.errors import SettingsError
from grounding.runtime.distributed import failing_together, gather, is_main, process_count, process_index
from grounding.training.config import TrainConfig
from grounding.training.run_folder import BROKEN_FILE, read_broken
from grounding.types import SetExpression

ABSENT_POOL = 8  # phrases of other images that are kept for an image, to be drawn from


def training_data(config: TrainConfig) -> tuple[GroundingDataset, GroundingDataset | None]:
    """What to train on, and what to validate on if there is anything.

    Raises:
        InputError: the data cannot be used, or one of the two is a test split; a `SettingsError` where another
            kind of decoder could use them.
    """
    refuse_settings(config)
    refuse_test_split("split", config.split)
    refuse_test_split("validation_split", config.validation_split)
    dataset = open_dataset(config.data, config.split, split_by=config.split_by, seed=config.seed,
                           boxed=config.model.decoder.kind != "adapters", subset=config.subset)  # fmt: skip
    validation, root = None, config.validation_data or config.data
    own = (
        dataset
        if config.validation_data is None and isinstance(dataset, ImagePhrasePairs | ImagePhraseShards)
        else None
    )
    if own is None or config.validation_split in own.boxed_splits:
        validation = open_dataset(root, config.validation_split, split_by=config.split_by, seed=config.seed,
                                  subset=config.validation_subset)  # fmt: skip
        validation.check_images()
    if not config.skip_broken:
        dataset.check_images()
    return dataset, validation


def refuse_settings(config: TrainConfig) -> None:
    """Does nothing, unless settings do not go together, whatever the data.

    Raises:
        SettingsError: they do not.
    """
    decoder = config.model.decoder
    of_decoders = {"model.decoder.lora_rank": decoder.lora_rank, "model.decoder.presence": decoder.presence,
                   "sets_per_image": config.sets_per_image}  # fmt: skip
    wrong = next((name for name, value in of_decoders.items() if value and decoder.kind == "adapters"), None)
    if wrong is not None:
        raise SettingsError(
            f"{wrong} is {of_decoders[wrong]} and model.decoder.kind 'adapters', which know neither boxes nor updates "
            f"of CLIP: leave {wrong} out, or give kind 'convolutional'"
        )
    if bool(config.sets_per_image) != decoder.presence:
        raise SettingsError(
            f"model.decoder.presence is {str(decoder.presence).lower()} and sets_per_image {config.sets_per_image}: "
            "the presence head learns from phrases that fit nothing, give both or neither"
        )
    if config.sets_split_by is not None and not config.sets_per_image:
        raise SettingsError(
            f"sets_split_by is {config.sets_split_by!r} and sets_per_image 0: give 1 or more, or leave the former out"
        )


def broken_images(config: TrainConfig, dataset: Supervised) -> dict[int, str]:
    """Image id -> what is wrong, of the images that the run leaves out; a resumed run leaves out the same ones."""
    if not config.skip_broken or isinstance(dataset, ImagePhraseShards):  # which leaves them out as it meets them
        return {}
    with failing_together():
        broken = read_broken(config.output) if config.resume else None
    if broken is None:
        share = range(process_index(), len(dataset), process_count())
        with failing_together():
            own = find_broken(dataset, share, hide_progress=not is_main())
        broken = dict(sorted(gather(list(own.items()))))
    if broken and is_main():
        first = next(iter(broken.values()))
        print(f"{len(broken)} broken images are left out, the first: {first} ({BROKEN_FILE} in the run folder has all)")
    return broken


def refuse_what_teaches_nothing(config: TrainConfig, images: int) -> None:
    """Does nothing, unless the settings and the number of images leave nothing to learn, or nothing to measure with.

    Raises:
        SettingsError: they do.
    """
    adapters = config.model.decoder.kind == "adapters"
    if adapters and min(config.images_per_batch, images) < 2:
        raise SettingsError(
            f"a step has {min(config.images_per_batch, images)} image: adapters learn by telling images apart, "
            "give images_per_batch 2 or more, and as many images"
        )
    if config.model.spatial_rules and not adapters:
        raise SettingsError(
            "model.spatial_rules is true and model.decoder.kind 'convolutional', which makes no similarity map: "
            "give spatial_rules false"
        )


def training_items(config: TrainConfig, dataset: Supervised, broken: dict[int, str]) -> TrainingItems:
    """What is drawn from the data set, without its broken images."""
    dataset = WithoutBroken(dataset, broken) if broken else dataset
    return TrainingItems(
        dataset, model_size=config.model.model_size, stride=config.model.heatmap_stride,
        phrases_per_image=config.phrases_per_image, composed_per_image=config.composed_per_image,
        sets=_sets(config, dataset) if config.sets_per_image else None, sets_per_image=config.sets_per_image,
        boxed=config.model.decoder.kind != "adapters", augmentation=config.augmentation, seed=config.seed,
    )  # fmt: skip


def streamed_images(dataset: GroundingDataset) -> int:
    """How many images are streamed, counted by all processes together; 0 where none are."""
    if not isinstance(dataset, ImagePhraseShards):
        return 0
    with failing_together():
        own = dataset.count(process_index(), process_count())
    return sum(gather([own]))


def training_order(
    config: TrainConfig, dataset: GroundingDataset, items: TrainingItems, images: int
) -> tuple[GlobalBatches | StreamedItems, ImageLoader]:
    """In which order this process's share of so many images comes, and what reads it as batches."""
    share = {"seed": config.seed, "process": process_index(), "processes": process_count()}
    if isinstance(dataset, ImagePhraseShards):
        stream = StreamedItems(dataset.files, items, images, config.images_per_batch, skip_broken=config.skip_broken,
                               **share)  # fmt: skip
        return stream, ImageLoader(stream, batch_size=stream.batch, collate_fn=collate_readable,
                                   num_workers=config.workers)  # fmt: skip
    order = GlobalBatches(images, config.images_per_batch, **share)
    return order, ImageLoader(items, batch_sampler=order, collate_fn=collate, num_workers=config.workers)


def _sets(config: TrainConfig, dataset: Supervised) -> dict[int, list[SetExpression]]:
    """Image id -> phrases that name several of its objects or none: the data set's own, or those of other images.

    Raises:
        InputError: the data set has no such phrases of its own, where they are asked for; a `SettingsError` where
            there is none that names nothing.
    """
    sets: dict[int, list[SetExpression]] = {}
    if config.sets_split_by is None:
        sets = absent_expressions(dataset.expressions, dataset.regions, seed=config.seed, per_image=ABSENT_POOL)
    elif find_layout(config.data, config.split_by).instances_file.name != "instances.json":
        raise SettingsError(
            f"sets_split_by is {config.sets_split_by!r} and split_by {config.split_by!r}, whose boxes a run has made: "
            "those of the former are annotated, leave sets_split_by out"
        )
    else:
        known = {expression.image_id for expression in dataset.expressions}
        for expression in GRefCOCO(config.data, config.split, split_by=config.sets_split_by).expressions:
            if expression.image_id in known and len(expression.boxes_xyxy) != 1:
                sets.setdefault(expression.image_id, []).append(expression)
    if not any(not expression.boxes_xyxy for of_image in sets.values() for expression in of_image):
        raise SettingsError(
            f"of the images of {config.data} no phrase is known to fit nothing: their categories do not tell them "
            "apart, or sets_split_by names phrases of other images; give sets_per_image 0"
        )
    return sets
