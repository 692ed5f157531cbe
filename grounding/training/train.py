"""The training loop: a decoder learns on top of a frozen CLIP, and a killed run can go on where it was.

Several processes may share a run (`torchrun train.py ...`): each learns from its slice of every batch, and the weights
become those of one process with the whole batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, set_seed
from tqdm import tqdm

from grounding.clip.encoder import Encoder
from grounding.data.batches import TrainingBatch
from grounding.data.dataloader import TimedLoader
from grounding.data.dataset import naming_sentences
from grounding.evaluation.evaluate import evaluate
from grounding.methods.dense import DenseGrounder
from grounding.methods.load import make_encoder, read_decoder
from grounding.methods.names import folder_of
from grounding.methods.spatial_phrases import noun_phrases, parse_spatial_phrase
from grounding.model.adaptation import EmbeddingAdapters
from grounding.model.decoder import HeatmapDecoder, decoder_for
from grounding.runtime.config_io import refuse_wrong_values
from grounding.runtime.distributed import failing_together, gather, is_main, join_launch, on_cpu
from grounding.runtime.errors import InputError, SettingsError
from grounding.runtime.signals import Stopped, StopRequest
from grounding.training.config import TrainConfig
from grounding.training.criterion import TrainingCriterion
from grounding.training.datasets import images_of, training_data, training_items, training_order
from grounding.training.run_folder import SKIPPED_FILE, TOTAL_LOSS, Progress, RunFolder, refuse_another_run
from grounding.training.step import TrainingStep

SHOWN = ("acc@0.5", "miou", "pointing")  # of the validation measures, after each epoch


def train(config: TrainConfig, *, on_epoch: Callable[[int, dict[str, float]], None] | None = None) -> dict[str, float]:
    """Train, keep the best epoch's decoder in the run folder, and return its validation measures.

    `on_epoch` is told the number of each finished epoch, from 1, and its validation measures; what it raises ends the
    run, which may be resumed, as it may after `Stopped`: SIGTERM or Ctrl-C came, and a state was saved.
    """
    refuse_wrong_values(config)
    refuse_another_run(config)
    setup, progress = _Setup(config), Progress()
    step, clip, tell = setup.step, setup.encoder.clip, setup.step.accelerator.print
    with failing_together():
        run = RunFolder(config)
    with run, StopRequest() as stop:

        def save() -> None:
            run.save_state(step.state(), progress)

        resumed = _resume(run, step, progress)
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
                tell(batches.summary(config.workers))
                if progress.skipped:
                    tell(f"{progress.skipped} steps so far had no finite loss or gradient and were skipped")

            with stop.at_once(_how_to_go_on(progress)):
                metrics = setup.validate(config)
            better = progress.finish_epoch(metrics)
            with failing_together():
                if better:
                    run.save_decoder(step.mean.module, clip_sha256=clip.sha256)
                run.log_validation(progress, metrics)
                save()
                shown = ", ".join(f"{name} {metrics[name]:.3f}" for name in SHOWN) if metrics else "none"
                tell(f"epoch {progress.epoch}: validation {shown}{' (best so far)' if better else ''}")
                if on_epoch is not None:
                    on_epoch(progress.epoch, metrics)
    return progress.best_metrics


def _resume(run: RunFolder, step: TrainingStep, progress: Progress) -> bool:
    """Goes on from the newest whole state, where there is one; what logs say of later steps and epochs is taken out."""
    with failing_together():
        found = [run.newest_state()] if is_main() else []
    [path] = gather(found)
    if path is None:
        return False
    with failing_together():
        state = torch.load(path, map_location="cpu", weights_only=True)
        step.load_state(state)
        vars(progress).update(state["progress"])
        run.forget_after(progress)
    return True


def _train_epoch(
    batches: TimedLoader[TrainingBatch], setup: _Setup, stop: StopRequest, progress: Progress, run: RunFolder,
    config: TrainConfig, *, save: Callable[[], None],
) -> None:  # fmt: skip
    """The rest of an epoch, step by step."""
    bar = tqdm(batches, desc=f"epoch {progress.epoch + 1}/{config.epochs}", initial=progress.step_in_epoch,
               total=len(setup.order), unit="step", disable=not is_main())  # fmt: skip
    for batch in bar:
        setup.encoder.encode_phrases.forget()  # those of a stream: a step depends on no other, whoever has resumed it
        values, skipped = setup.step(batch)
        progress.finish_step(skipped=skipped)
        described = gather([batch.described()]) if skipped else []
        with failing_together():
            if skipped:
                run.log_skipped(progress, values, described)
            if progress.skipped_in_a_row >= config.most_skipped:
                raise SettingsError(
                    f"{progress.skipped_in_a_row} steps in a row had no finite loss or gradient: look at their images "
                    f"and phrases in {config.output / SKIPPED_FILE}, or train anew with a lower learning_rate"
                )
            run.log_step(progress, values)
            bar.set_postfix(loss=f"{values[TOTAL_LOSS]:.3f}")
        if number := max(gather([stop.received])):  # so that all end after the same step
            raise Stopped(number, _how_to_go_on(progress))
        if progress.step % config.save_every == 0:
            with failing_together():
                save()


def _how_to_go_on(progress: Progress) -> str:
    return f"stopped after step {progress.step}: the same command with --resume true goes on"


class _Setup:
    """What a run consists of before its first step, made in an order that is part of what a seed means."""

    def __init__(self, config: TrainConfig) -> None:
        set_seed(config.seed)
        dataset, self.validation = training_data(config)
        join_launch(config.device)  # the accelerator then takes the processes as they are
        accelerator = Accelerator(
            cpu=on_cpu(config.device),
            mixed_precision=config.mixed_precision,
            # Says that a batch is shared: the schedule then makes one step per step, however many the processes are.
            dataloader_config=DataLoaderConfiguration(split_batches=True),
        )
        images = images_of(dataset)
        with failing_together():
            self.items = training_items(config, dataset, images)
            self.order, self.loader = training_order(config, self.items, images)
            self.encoder = make_encoder(config.model, accelerator.device)
            left_out = f", {dataset.left_out.total()} phrases left out" if dataset.left_out else ""
            accelerator.print(f"training on {images} images of {config.data}{left_out}; frozen weights: "
                              f"{self.encoder.clip.weights}")  # fmt: skip
            # All phrases at once, in a fixed order: an embedding is then the same to the last bit in a resumed run.
            expressions = self.validation.expressions if self.validation else ()
            asked = {expression.phrase for expression in expressions}
            if config.model.spatial_rules:  # which ask for noun phrases besides
                asked |= {noun for phrase in asked for noun in noun_phrases(parse_spatial_phrase(phrase))}
            with naming_sentences((*dataset.expressions, *expressions)):
                self.encoder.encode_phrases.remember(sorted(self.items.phrases | asked))
            criterion = TrainingCriterion(self.encoder, _first_decoder(self.encoder, config), config.losses)
        self.step = TrainingStep(criterion, config, accelerator, total_steps=config.epochs * len(self.order))

    def batches(self, progress: Progress) -> TimedLoader[TrainingBatch]:
        """Those that are left of the current epoch."""
        self.items.epoch = self.order.epoch = progress.epoch
        self.order.first_step = progress.step_in_epoch
        return TimedLoader(self.loader)

    def validate(self, config: TrainConfig) -> dict[str, float]:
        """The measures of the decoder's running mean; none without validation data."""
        if self.validation is None:
            return {}
        decoder = cast(HeatmapDecoder | EmbeddingAdapters, self.step.mean.module)
        grounder = DenseGrounder(self.encoder, decoder, name=config.output.name, model=config.model)
        return evaluate(grounder, self.validation, workers=config.workers, description="validating")


def _first_decoder(encoder: Encoder, config: TrainConfig) -> HeatmapDecoder | EmbeddingAdapters:
    """New weights, or those of another run."""
    if config.start_from is None:
        return decoder_for(encoder, config.model.decoder)
    folder = folder_of(config.start_from)
    if not folder.is_dir():
        raise InputError(f"start_from: no run folder {config.start_from!r}; leave it out to train new weights")
    return read_decoder(folder, encoder, config.model)
