import math

from torch.optim.lr_scheduler import LambdaLR
from torch.optim.swa_utils import AveragedModel


def losses_of(criterion, images, indices, rng):
    """The losses by name: of features in memory, or through CLIP, where that is updated or does not fit there."""
    updates = getattr(criterion.decoder, "updates", None)
    through_clip = updates is not None or not SETTINGS.cached
    batch = images.batch(indices, rng, pixels=through_clip)
    with torch.autocast(DEVICE.type, torch.float16, enabled=AMP):
        if through_clip:
            features = images.encoder.encode_squares(batch.squares, updates() if updates is not None else None)
        else:
            features = images.features(indices)
        return criterion(features, batch)


def train(name, criterion, images, *, epochs, steps, batch, learning_rate, validate=()):
    """Train what a criterion holds; the running mean of the weights, and what each epoch came to.
    A run that was stopped goes on after its last whole epoch, whose state is in the folder RUNS. `validate`: images to
    validate on, and how many at once."""
    decoder, path = criterion.decoder, RUNS / f"{name}.pt"
    optimizer = torch.optim.AdamW(_parameter_groups(criterion, 0.02), lr=learning_rate, eps=EPSILON)
    total = epochs * steps
    schedule = LambdaLR(optimizer, lambda step: warmup_cosine(step, total // 10, total))
    scaler = torch.amp.GradScaler(DEVICE.type, enabled=AMP)
    mean = AveragedModel(decoder, multi_avg_fn=running_mean(0.99))
    parts = {"criterion": criterion, "mean": mean, "optimizer": optimizer, "schedule": schedule, "scaler": scaler}
    history = []
    if path.is_file():
        state = torch.load(path, map_location=DEVICE, weights_only=False)
        history = state.pop("history")
        for part, values in state.items():
            parts[part].load_state_dict(values)
    for epoch in range(len(history), epochs):
        rng = np.random.default_rng([0, epoch])  # order and draws depend on the epoch alone
        order = [rng.permutation(images.chosen) for _ in range(math.ceil(steps * batch / len(images)))]
        sums = {}
        for indices in np.concatenate(order)[: steps * batch].reshape(steps, batch):
            losses = losses_of(criterion, images, indices, rng)
            scaler.scale(sum(losses.values())).backward()
            scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(criterion.parameters(), 1.0)  # one odd batch moves little
            scaler.step(optimizer)
            scaler.update()
            optimizer.zero_grad(set_to_none=True)
            schedule.step()
            mean.update_parameters(decoder)
            for part, value in losses.items():
                sums[part] = sums.get(part, 0.0) + value.item() / steps
        history.append({"train": sums, "validation": validated(criterion, mean.module, *validate) if validate else {}})
        RUNS.mkdir(parents=True, exist_ok=True)
        state = {part: value.state_dict() for part, value in parts.items()} | {"history": history}
        torch.save(state, path.with_suffix(".part"))
        path.with_suffix(".part").replace(path)  # whole, or the one before
    return mean.module.eval(), history
