"""What a training run learns from and is validated on."""

from __future__ import annotations

from grounding.data.annotations import find_layout
from grounding.data.batches import TrainingItems, collate
from grounding.data.dataloader import GlobalBatches, ImageLoader
from grounding.data.dataset import GroundingDataset
from grounding.data.open_dataset import open_dataset
from grounding.data.pairs import ImagePhrasePairs
from grounding.data.refcocog import GRefCOCO
from grounding.data.supervision import absent_expressions, refuse_test_split
from grounding.data.tar_samples import ImagePhraseShards, StreamedItems, count_samples
from grounding.runtime.distributed import failing_together, gather, process_count, process_index
from grounding.runtime.errors import SettingsError
from grounding.training.config import TrainConfig
from grounding.types import SetExpression

ABSENT_POOL = 8  # phrases of other images that are kept for an image, to be drawn from


def training_data(config: TrainConfig) -> tuple[GroundingDataset, GroundingDataset | None]:
    """What to train on, and what to validate on if there is anything; raises `InputError` where it cannot be used."""
    refuse_settings(config)
    refuse_test_split("split", config.split)
    refuse_test_split("validation_split", config.validation_split)
    dataset = open_dataset(config.data, config.split, split_by=config.split_by, seed=config.seed,
                           boxed=config.model.decoder.kind != "adapters", subset=config.subset)  # fmt: skip
    validation, root = None, config.validation_data or config.data
    own = dataset if isinstance(dataset, ImagePhrasePairs | ImagePhraseShards) else None
    if config.validation_data is not None or own is None or config.validation_split in own.boxed_splits:
        validation = open_dataset(root, config.validation_split, split_by=config.split_by, seed=config.seed,
                                  subset=config.validation_subset)  # fmt: skip
        validation.check_images()
    dataset.check_images()
    return dataset, validation


def refuse_settings(config: TrainConfig) -> None:
    """Raises `SettingsError` where settings do not go together, whatever the data."""
    decoder, sets, losses = config.model.decoder, config.sets_per_image, config.losses
    boxed = decoder.kind != "adapters"
    beside = "and model.decoder.kind 'adapters', which know neither boxes nor updates of CLIP: leave one of them out"
    wrong = {
        f"model.decoder.lora_rank is {decoder.lora_rank} {beside}": decoder.lora_rank and not boxed,
        f"model.decoder.presence is true {beside}": decoder.presence and not boxed,
        f"sets_per_image is {sets} {beside}": sets and not boxed,
        "model.spatial_rules is true and model.decoder.kind 'convolutional', which makes no similarity map: give "
        "spatial_rules false": config.model.spatial_rules and boxed,
        f"model.decoder.presence is {str(decoder.presence).lower()} and sets_per_image {sets}: the presence head "
        "learns from phrases that fit nothing, give both or neither": bool(sets) != decoder.presence,
        f"sets_split_by is {config.sets_split_by!r} and sets_per_image 0: give 1 or more, or leave the former out":
            config.sets_split_by is not None and not sets,
        "losses.contrast_weight is above 0 and decoder.adapter false: frozen embeddings of given boxes can learn "
        "nothing; give losses.contrast_weight 0 or decoder.adapter true":
            boxed and losses.contrast_weight and not decoder.adapter,
        "losses.distance_weight is above 0, decoder.adapter false and decoder.lora_rank 0: nothing changes CLIP's "
        "embeddings; give losses.distance_weight 0 or decoder.adapter true":
            boxed and losses.distance_weight and not (decoder.adapter or decoder.lora_rank),
    }  # fmt: skip
    for sentence, is_so in wrong.items():
        if is_so:
            raise SettingsError(sentence)


def images_of(dataset: GroundingDataset) -> int:
    """How many images there are; those of tar files are counted by all processes together."""
    if not isinstance(dataset, ImagePhraseShards):
        return len(dataset)
    with failing_together():
        own = [count_samples(path) for path in dataset.files[process_index() :: process_count()]]
    return sum(gather(own))


def training_items(config: TrainConfig, dataset: GroundingDataset, images: int) -> TrainingItems:
    """What is drawn from the data set, which has so many images."""
    images = min(config.images_per_batch, images)
    if config.model.decoder.kind == "adapters" and images < 2:
        raise SettingsError(
            f"a step has {images} image: adapters learn by telling images apart, give images_per_batch 2 or more, and "
            "as many images"
        )
    return TrainingItems(
        dataset, model_size=config.model.model_size, stride=config.model.heatmap_stride,
        phrases_per_image=config.phrases_per_image, composed_per_image=config.composed_per_image,
        sets=_sets(config, dataset) if config.sets_per_image else None, sets_per_image=config.sets_per_image,
        boxed=config.model.decoder.kind != "adapters", augmentation=config.augmentation, seed=config.seed,
    )  # fmt: skip


def training_order(
    config: TrainConfig, items: TrainingItems, images: int
) -> tuple[GlobalBatches | StreamedItems, ImageLoader]:
    """In which order this process's share of so many images comes, and what reads it as batches."""
    share = {"seed": config.seed, "process": process_index(), "processes": process_count()}
    if isinstance(items.dataset, ImagePhraseShards):
        stream = StreamedItems(items, images, config.images_per_batch, **share)
        return stream, ImageLoader(stream, batch_size=stream.batch, collate_fn=collate, num_workers=config.workers)
    order = GlobalBatches(images, config.images_per_batch, **share)
    return order, ImageLoader(items, batch_sampler=order, collate_fn=collate, num_workers=config.workers)


def _sets(config: TrainConfig, dataset: GroundingDataset) -> dict[int, list[SetExpression]]:
    """Image id -> phrases that name several of its objects or none: the data set's own, or those of other images."""
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
