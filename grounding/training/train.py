"""The training loop: a decoder learns on top of a frozen CLIP, and a killed run can go on where it was.

Several processes may share a run (`torchrun train.py ...`): each learns from its slice of every batch, and the weights
become those of one process with the whole batch.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import cast

from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, set_seed
from tqdm import tqdm

from grounding.clip.encoder import Encoder
from grounding.data.batches import TrainingBatch, TrainingItems
from grounding.data.dataloader import GlobalBatches, ImageLoader, TimedLoader
from grounding.data.dataset import GroundingDataset, naming_sentences
from grounding.data.tar_samples import StreamedItems
from grounding.errors import InputError, SettingsError
from grounding.evaluation.evaluate import evaluate
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import make_encoder, read_decoder
from grounding.methods.names import folder_of
from grounding.methods.spatial_phrases import noun_phrases, parse_spatial_phrase
from grounding.model.adaptation import EmbeddingAdapters
from grounding.model.build import decoder_for
from grounding.model.decoder import HeatmapDecoder
from grounding.runtime.config_io import refuse_wrong_values
from grounding.runtime.distributed import any_process, failing_together, gather, is_main, join_launch, on_cpu
from grounding.runtime.signals import Stopped, StopRequest
from grounding.training.checkpoint import Progress, save_unwrapped
from grounding.training.config import TrainConfig
from grounding.training.criterion import criterion_for
from grounding.training.datasets import images_of, training_data, training_items, training_order
from grounding.training.run_folder import SKIPPED_FILE, TOTAL_LOSS, RunFolder, refuse_another_run
from grounding.training.step import TrainingStep, make_step

SHOWN = ("acc@0.5", "miou", "pointing")  # of the validation measures, after each epoch


def train(config: TrainConfig, *, on_epoch: Callable[[int, dict[str, float]], None] | None = None) -> dict[str, float]:
    """Train, keep the best epoch's decoder in the run folder, and return its validation measures.

    Args:
        config: of the run.
        on_epoch: told the number of each finished epoch, from 1, and its validation measures; what it raises ends the
            run, which may be resumed.

    Raises:
        InputError: the data or the CLIP cannot be used, the run folder holds another run, another training works in
            it, or a state cannot be written; or too many steps in a row had no finite loss.
        Stopped: SIGTERM or Ctrl-C came; a state was saved.
    """
    refuse_wrong_values(config)
    refuse_another_run(config.output, config, resume=config.resume)
    setup, progress = _set_up(config), Progress()
    accelerator, mean, clip = setup.step.accelerator, setup.step.mean, setup.encoder.clip
    with failing_together():
        run = RunFolder(config.output, config)
    with run, StopRequest() as stop:
        save = partial(run.save_state, accelerator, mean, progress)
        resumed = run.resume(accelerator, mean, progress)
        with failing_together():
            if not resumed:
                save()
            if not progress.is_over(config.epochs, config.patience):
                run.log_start(seed=config.seed, weights=clip.weights)

        while not progress.is_over(config.epochs, config.patience):
            batches = setup.batches(progress)
            try:
                _train_epoch(batches, setup, stop, progress, run, config, save=save)
            except (InputError, Stopped):  # the steps before it are not lost
                save()
                raise
            with failing_together():
                save()  # before validation, which takes long and may be stopped too
                accelerator.print(batches.summary(config.workers))
                if progress.skipped:
                    accelerator.print(
                        f"{progress.skipped} steps so far had no finite loss or gradient and were skipped"
                    )

            with stop.at_once(_how_to_go_on(progress)):
                metrics = setup.validate(config)
            better = progress.finish_epoch(metrics)
            with failing_together():
                if better:
                    run.save_decoder(mean.module, clip_sha256=clip.sha256)
                run.log_validation(progress, metrics)
                save()
                shown = ", ".join(f"{name} {metrics[name]:.3f}" for name in SHOWN) if metrics else "none"
                accelerator.print(f"epoch {progress.epoch}: validation {shown}{' (best so far)' if better else ''}")
                if on_epoch is not None:
                    on_epoch(progress.epoch, metrics)
    return progress.best_metrics


def _train_epoch(
    batches: TimedLoader[TrainingBatch], setup: _Setup, stop: StopRequest, progress: Progress, run: RunFolder,
    config: TrainConfig, *, save: Callable[[], None],
) -> None:  # fmt: skip
    """The rest of an epoch, step by step.

    Raises:
        InputError: a batch cannot be read, or too many steps in a row had no finite loss (`SettingsError`).
        Stopped: a process was asked to stop.
    """
    bar = tqdm(batches, desc=f"epoch {progress.epoch + 1}/{config.epochs}", initial=progress.step_in_epoch,
               total=len(setup.order), unit="step", disable=not is_main())  # fmt: skip
    for batch in bar:
        setup.encoder.encode_phrases.forget()  # those of a stream: a step depends on no other, whoever has resumed it
        outcome = setup.step(batch)
        progress.finish_step(skipped=outcome.skipped)
        described = gather([batch.described()]) if outcome.skipped else []
        with failing_together():
            if outcome.skipped:
                run.log_skipped(progress, outcome.values, described)
            if progress.skipped_in_a_row >= config.most_skipped:
                raise SettingsError(
                    f"{progress.skipped_in_a_row} steps in a row had no finite loss or gradient: look at their images "
                    f"and phrases in {config.output / SKIPPED_FILE}, or train anew with a lower learning_rate"
                )
            run.log_step(progress, outcome.values)
            bar.set_postfix(loss=f"{outcome.values[TOTAL_LOSS]:.3f}")
        if any_process(bool(stop.received), setup.step.accelerator.device):  # so that all end after the same step
            raise Stopped(stop.received or signal.SIGTERM, _how_to_go_on(progress))
        if progress.step % config.save_every == 0:
            with failing_together():
                save()


def _how_to_go_on(progress: Progress) -> str:
    return f"stopped after step {progress.step}: the same command with --resume true goes on"


@dataclass(frozen=True)
class _Setup:
    """What a run consists of before its first step.

    Attributes:
        encoder: the frozen CLIP.
        items: what is drawn of the training images.
        order: in which they come.
        loader: of their batches.
        validation: what is validated on, if anything.
        step: trains the decoder, and holds its running mean.
    """

    encoder: Encoder
    items: TrainingItems
    order: GlobalBatches | StreamedItems
    loader: ImageLoader
    validation: GroundingDataset | None
    step: TrainingStep

    def batches(self, progress: Progress) -> TimedLoader[TrainingBatch]:
        """The batches that are left of the current epoch."""
        self.items.epoch = self.order.epoch = progress.epoch
        self.order.first_step = progress.step_in_epoch
        return TimedLoader(self.loader)

    def validate(self, config: TrainConfig) -> dict[str, float]:
        """The measures of the decoder's running mean; none without validation data."""
        if self.validation is None:
            return {}
        model, decoder = config.model, cast(HeatmapDecoder | EmbeddingAdapters, self.step.mean.module)
        grounder = DenseGrounder(self.encoder, decoder, extraction=model.extraction, name=config.output.name,
                                 sizes=model.inference_sizes, flip=model.inference_flip,
                                 spatial_rules=model.spatial_rules)  # fmt: skip
        return evaluate(grounder, self.validation, workers=config.workers, description="validating")


def _set_up(config: TrainConfig) -> _Setup:
    """Everything from the seed to the optimiser; the order of what draws random numbers is part of what a seed means.

    Raises:
        InputError: the data or the CLIP cannot be used.
    """
    set_seed(config.seed)
    dataset, validation = training_data(config)
    join_launch(config.device)  # the accelerator then takes the processes as they are
    accelerator = Accelerator(
        cpu=on_cpu(config.device),
        mixed_precision=config.mixed_precision,
        # Says that a batch is shared: the schedule then makes one step per step, however many the processes are.
        dataloader_config=DataLoaderConfiguration(split_batches=True),
    )
    save_unwrapped(accelerator)
    images = images_of(dataset)
    with failing_together():
        items = training_items(config, dataset, images)
        order, loader = training_order(config, items, images)
        encoder = make_encoder(config.model, accelerator.device)
        left_out = f", {dataset.left_out.total()} phrases left out" if dataset.left_out else ""
        accelerator.print(
            f"training on {images} images of {config.data}{left_out}; frozen weights: {encoder.clip.weights}"
        )
        # All phrases at once, in a fixed order: an embedding is then the same to the last bit in a resumed run.
        asked = {expression.phrase for expression in (validation.expressions if validation else ())}
        if config.model.spatial_rules:  # which ask for noun phrases besides
            asked |= {noun for phrase in asked for noun in noun_phrases(parse_spatial_phrase(phrase))}
        with naming_sentences((*dataset.expressions, *(validation.expressions if validation else ()))):
            encoder.encode_phrases.remember(sorted(items.phrases | asked))
        decoder = _first_decoder(encoder, config)
        criterion = criterion_for(encoder, decoder, config.losses)
    step = make_step(criterion, config, accelerator, total_steps=config.epochs * len(order))
    return _Setup(encoder, items, order, loader, validation, step)


def _first_decoder(encoder: Encoder, config: TrainConfig) -> HeatmapDecoder | EmbeddingAdapters:
    """New weights, or those of another run.

    Raises:
        InputError: there is no such run, or as `read_decoder`.
    """
    if config.start_from is None:
        return decoder_for(encoder, config.model.decoder)
    folder = folder_of(config.start_from)
    if not folder.is_dir():
        raise InputError(f"start_from: no run folder {config.start_from!r}; leave it out to train new weights")
    return read_decoder(folder, encoder, config.model)
