"""The training loop: a decoder learns on top of a frozen CLIP, and a killed run can go on where it was.

Several processes may share a run (`torchrun train.py ...`): each learns from its slice of every batch, and the weights
become those of one process with the whole batch.
"""

from __future__ import annotations

import itertools
import math
import signal
from collections.abc import Callable, Iterator
from functools import partial
from typing import cast

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, InitProcessGroupKwargs, set_seed
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from grounding.data.batches import TrainingBatch, TrainingItems, collate
from grounding.data.broken import WithoutBroken, find_broken
from grounding.data.global_batches import GlobalBatches
from grounding.data.mirrored import can_be_mirrored, mirrored_phrase
from grounding.data.reading import ReadingLoader
from grounding.data.refcocog import RefCOCOg
from grounding.data.supervision import Supervised
from grounding.data.supply import Supply
from grounding.decoder import HeatmapDecoder
from grounding.encoder import Encoder
from grounding.errors import InputError
from grounding.evaluation import evaluate
from grounding.feature_cache import cached_features, needs_pixels
from grounding.grounder import DenseGrounder, decoder_for
from grounding.interruption import Stopped, StopRequest
from grounding.learner import Learner
from grounding.loading import make_encoder
from grounding.optimiser_step import OptimiserStep
from grounding.processes import PATIENCE, failing_together, gather, is_main, on_cpu, process_count, process_index
from grounding.run_folder import BROKEN_FILE, SKIPPED_FILE, TOTAL_LOSS, RunFolder, read_broken, refuse_another_run
from grounding.states import Progress, without_wrapper
from grounding.train_config import TrainConfig
from grounding.training_data import boxed_images, training_data

# Of AdamW. Where a gradient is zero but for rounding, as that of an attention's key bias, which softmax ignores, what
# rounding leaves must not be blown up to a step: it is another with every other number of processes.
EPSILON = 1e-6
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
    refuse_another_run(config.output, config, resume=config.resume)
    set_seed(config.seed)
    dataset, validation = training_data(config)
    accelerator = Accelerator(
        cpu=on_cpu(config.device),
        mixed_precision=config.mixed_precision,
        # Says that a batch is shared: the schedule then makes one step per step, however many the processes are.
        dataloader_config=DataLoaderConfiguration(split_batches=True),
        kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)],
    )
    without_wrapper(accelerator)
    with failing_together():
        broken = _broken_images(config, dataset)
        dataset = WithoutBroken(dataset, broken) if broken else dataset
        order = GlobalBatches(len(dataset), config.images_per_batch, seed=config.seed,
                              process=accelerator.process_index, processes=accelerator.num_processes)  # fmt: skip
        encoder = make_encoder(config.model, accelerator.device)
        accelerator.print(f"training on {len(dataset)} images of {config.data}; frozen weights: {encoder.clip.weights}")
        items = _items(config, dataset, encoder, tell=accelerator.print)
        _remember_phrases(config, items, validation, encoder)
        learner = Learner(encoder, decoder_for(encoder, config.model.decoder), config.losses)
    loader = ReadingLoader(items, batch_sampler=order, collate_fn=collate, num_workers=config.workers)
    # Plain numbers: those of the command line are of a class that a saved state would need on reading.
    groups = _parameter_groups(learner, float(config.weight_decay))
    optimizer = torch.optim.AdamW(groups, lr=float(config.learning_rate), eps=EPSILON, fused=True)
    total_steps = config.epochs * len(order)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, config.warmup_steps, total_steps)
    )
    mean = AveragedModel(learner.decoder, multi_avg_fn=running_mean(config.ema_decay)).to(accelerator.device)
    trained = learner.decoder
    learner, optimizer, schedule = accelerator.prepare(learner, optimizer, schedule)
    mean_decoder = cast(HeatmapDecoder, mean.module)
    step = OptimiserStep(accelerator, learner, optimizer, schedule, mean, trained, config.clip_norm)
    progress = Progress()
    grounder = DenseGrounder(encoder, mean_decoder, extraction=config.model.extraction, name="ours",
                             sizes=config.model.inference_sizes, flip=config.model.inference_flip)  # fmt: skip

    with failing_together():
        run = RunFolder(config.output, config)
    with run, StopRequest() as stop:
        save = partial(run.save_state, accelerator, mean, progress)
        if not run.resume(accelerator, mean, progress):
            save()
        if config.skip_broken:
            run.log_broken(broken)
        if not progress.is_over(config.epochs, config.patience):
            run.log_start(seed=config.seed, weights=encoder.clip.weights)
        while not progress.is_over(config.epochs, config.patience):
            items.epoch = order.epoch = progress.epoch
            order.first_step = progress.step_in_epoch
            supply = Supply(loader)
            bar = tqdm(supply, desc=f"epoch {progress.epoch + 1}/{config.epochs}", initial=progress.step_in_epoch,
                       total=len(order), unit="step", disable=not is_main())  # fmt: skip
            try:
                _learn(bar, step, stop, progress, run, config, save=save)
            except (InputError, Stopped):
                save()
                raise
            save()  # before validation, which takes long and may be stopped too
            accelerator.print(supply.in_words(config.workers))
            if progress.skipped:
                accelerator.print(f"{progress.skipped} steps so far had no finite loss or gradient and were skipped")
            with stop.at_once(_stopped(progress)):
                metrics = (
                    evaluate(grounder, validation, workers=config.workers, description="validating")
                    if validation
                    else {}
                )
            better = progress.finish_epoch(metrics)
            if better:
                run.save_decoder(mean_decoder, clip_sha256=encoder.clip.sha256)
            run.log_validation(progress, metrics)
            run.log_waiting(progress, supply.share_waited)
            save()
            shown = ", ".join(f"{name} {metrics[name]:.3f}" for name in SHOWN) if metrics else "none"
            accelerator.print(f"epoch {progress.epoch}: validation {shown}{' (best so far)' if better else ''}")
            if on_epoch is not None:
                on_epoch(progress.epoch, metrics)
    return progress.best_metrics


def _learn(
    bar: tqdm[TrainingBatch], step: OptimiserStep, stop: StopRequest, progress: Progress, run: RunFolder,
    config: TrainConfig, *, save: Callable[[], None],
) -> None:  # fmt: skip
    """The rest of an epoch, step by step.

    Raises:
        InputError: a batch cannot be read, or too many steps in a row had no finite loss.
        Stopped: a process was asked to stop.
    """
    for batch in bar:
        outcome = step(batch, stop)
        progress.finish_step(skipped=outcome.skipped)
        if outcome.skipped:
            run.log_skipped(progress, outcome.values, gather([batch.described()]))
        _refuse_endless_skipping(config, progress)
        run.log_step(progress, outcome.values)
        bar.set_postfix(loss=f"{outcome.values[TOTAL_LOSS]:.3f}")
        if outcome.stop:
            raise Stopped(stop.received or signal.SIGTERM, _stopped(progress))  # another process's
        if progress.step % config.save_every == 0:
            save()


def _broken_images(config: TrainConfig, dataset: Supervised) -> dict[int, str]:
    """Image id -> what is wrong, of the images that the run leaves out; a resumed run leaves out the same ones."""
    if not config.skip_broken:
        return {}
    broken = read_broken(config.output) if config.resume else None
    if broken is None:
        share = range(process_index(), len(dataset), process_count())
        found = gather(list(find_broken(dataset, share, hide_progress=not is_main()).items()))
        broken = dict(sorted(found))
    if broken and is_main():
        first = next(iter(broken.values()))
        print(f"{len(broken)} broken images are left out, the first: {first} ({BROKEN_FILE} in the run folder has all)")
    return broken


def _refuse_endless_skipping(config: TrainConfig, progress: Progress) -> None:
    if progress.skipped_in_a_row >= config.most_skipped:
        raise InputError(
            f"{progress.skipped_in_a_row} steps in a row had no finite loss or gradient: look at their images and "
            f"phrases in {config.output / SKIPPED_FILE}, or train anew with a lower learning_rate"
        )


def _stopped(progress: Progress) -> str:
    return f"stopped after step {progress.step}: the same command with --resume true goes on"


def _items(config: TrainConfig, dataset: Supervised, encoder: Encoder, *, tell: Callable[[str], None]) -> TrainingItems:
    return TrainingItems(
        dataset, model_size=config.model.model_size, stride=config.model.heatmap_stride,
        phrases_per_image=config.phrases_per_image, composed_per_image=config.composed_per_image,
        wrong_per_phrase=config.losses.contrast.wrong_phrases, boxed=boxed_images(config, dataset),
        augmentation=config.augmentation, features=cached_features(config, dataset, encoder, tell=tell),
        pixels=needs_pixels(config), seed=config.seed,
    )  # fmt: skip


def _remember_phrases(config: TrainConfig, items: TrainingItems, validation: RefCOCOg | None, encoder: Encoder) -> None:
    """All that the run may ask, once, in a fixed order: a phrase's embedding is then the same in a resumed run."""
    asked = items.phrases | {expression.phrase for expression in (validation.expressions if validation else ())}
    if config.losses.weak.mirror_weight:
        asked |= {mirrored_phrase(phrase) for phrase in items.phrases if can_be_mirrored(phrase)}
    encoder.encode_phrases.remember(sorted(asked))


def running_mean(decay: float) -> Callable[..., None]:
    """The update of an exponential moving average that starts quickly: the decay grows from 1/10 to `decay`.

    Without this, the mean of a run of a few hundred steps would still be mostly its random start.
    """

    @torch.no_grad()
    def update(averages: list[Tensor], values: list[Tensor], updates: Tensor) -> None:
        step_decay = min(decay, (1 + float(updates)) / (10 + float(updates)))
        torch._foreach_lerp_(averages, values, 1 - step_decay)

    return update


def warmup_cosine(step: int, warmup_steps: int, total_steps: int) -> float:
    """Factor on the learning rate: linear up to 1, then a cosine down to 0."""
    if step < warmup_steps:
        return (step + 1) / warmup_steps
    done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
    return 0.5 * (1 + math.cos(math.pi * done))


def _parameter_groups(learner: Learner, weight_decay: float) -> Iterator[dict[str, object]]:
    """Kernels decay, biases and norms do not."""
    parameters = sorted(learner.parameters(), key=lambda p: p.ndim > 1)
    for decays, group in itertools.groupby(parameters, key=lambda p: p.ndim > 1):
        yield {"params": list(group), "weight_decay": weight_decay if decays else 0.0}
