"""The training loop: a decoder learns on top of a frozen CLIP, and a killed run can go on where it was.

Several processes may share a run (`torchrun train.py ...`): each learns from its slice of every batch, and the weights
become those of one process with the whole batch.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from typing import cast

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration, InitProcessGroupKwargs, set_seed
from torch import Tensor
from torch.optim.swa_utils import AveragedModel
from tqdm import tqdm

from grounding.data.batches import TrainingItems, collate
from grounding.data.global_batches import GlobalBatches
from grounding.data.mirrored import can_be_mirrored, mirrored_phrase
from grounding.data.reading import ReadingLoader
from grounding.data.refcocog import RefCOCOg
from grounding.data.supervision import Supervised
from grounding.data.supply import Supply
from grounding.decoder import HeatmapDecoder
from grounding.encoder import Encoder
from grounding.evaluation import evaluate
from grounding.feature_cache import cached_features, needs_pixels
from grounding.grounder import DenseGrounder, decoder_for
from grounding.learner import Learner
from grounding.loading import make_encoder
from grounding.processes import PATIENCE, failing_together, from_main, is_main, on_cpu
from grounding.run_folder import LEARNING_RATE, TOTAL_LOSS, Progress, RunFolder, refuse_another_run, without_wrapper
from grounding.shared_means import mean_over_processes
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
        InputError: the data or the CLIP cannot be used, or the run folder holds another run.
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
        order = GlobalBatches(len(dataset), config.images_per_batch, seed=config.seed,
                              process=accelerator.process_index, processes=accelerator.num_processes)  # fmt: skip
        encoder = make_encoder(config.model, accelerator.device)
        accelerator.print(f"training on {len(dataset)} images of {config.data}; frozen weights: {encoder.clip.weights}")
        items = _items(config, dataset, encoder, tell=accelerator.print)
        _remember_phrases(config, items, validation, encoder)
        learner = Learner(encoder, decoder_for(encoder, config.model.decoder), config.losses)
    loader = ReadingLoader(items, batch_sampler=order, collate_fn=collate, num_workers=config.workers)
    optimizer = torch.optim.AdamW(_parameter_groups(learner, config.weight_decay), lr=config.learning_rate, eps=EPSILON,
                                  fused=True)  # fmt: skip
    total_steps = config.epochs * len(order)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: warmup_cosine(step, config.warmup_steps, total_steps)
    )
    average = AveragedModel(learner.decoder, multi_avg_fn=running_mean(config.ema_decay)).to(accelerator.device)
    trained = learner.decoder
    learner, optimizer, schedule = accelerator.prepare(learner, optimizer, schedule)
    mean_decoder = cast(HeatmapDecoder, average.module)
    progress = Progress()
    accelerator.register_for_checkpointing(average, progress)
    grounder = DenseGrounder(encoder, mean_decoder, extraction=config.model.extraction, name="ours",
                             sizes=config.model.inference_sizes, flip=config.model.inference_flip)  # fmt: skip

    with failing_together():
        run = RunFolder(config.output, config, resume=config.resume)
    with run:
        if from_main(run.has_state):
            accelerator.load_state(str(run.state_folder))
        else:
            run.save_state(accelerator)
        while progress.epoch < config.epochs and progress.epochs_since_best < config.patience:
            items.epoch = order.epoch = progress.epoch
            order.first_step = progress.step_in_epoch
            supply = Supply(loader)
            bar = tqdm(supply, desc=f"epoch {progress.epoch + 1}/{config.epochs}", initial=progress.step_in_epoch,
                       total=len(order), unit="step", disable=not is_main())  # fmt: skip
            for batch in bar:
                learner.train()
                with accelerator.autocast():
                    losses = learner(batch)
                loss = torch.stack(list(losses.values())).sum()
                accelerator.backward(loss)
                accelerator.clip_grad_norm_(learner.parameters(), config.clip_norm)
                optimizer.step()
                learning_rate = schedule.get_last_lr()[0]  # of this step; all groups have the same
                schedule.step()
                optimizer.zero_grad(set_to_none=True)
                average.update_parameters(trained)
                progress.step_in_epoch += 1
                progress.step += 1
                logged = mean_over_processes({TOTAL_LOSS: loss, **losses})
                bar.set_postfix(loss=f"{logged[TOTAL_LOSS]:.3f}")
                run.log_step(progress, {**logged, LEARNING_RATE: learning_rate})
                if progress.step % config.save_every == 0:
                    run.save_state(accelerator)
            accelerator.print(supply.in_words(config.workers))
            metrics = (
                evaluate(grounder, validation, workers=config.workers, description="validating") if validation else {}
            )
            better = progress.finish_epoch(metrics)
            if better:
                run.save_decoder(mean_decoder, clip_sha256=encoder.clip.sha256)
            run.log_validation(progress, metrics)
            run.log_waiting(progress, supply.share_waited)
            run.save_state(accelerator)
            shown = ", ".join(f"{name} {metrics[name]:.3f}" for name in SHOWN) if metrics else "none"
            accelerator.print(f"epoch {progress.epoch}: validation {shown}{' (best so far)' if better else ''}")
            if on_epoch is not None:
                on_epoch(progress.epoch, metrics)
    return progress.best_metrics


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
