events = EventAccumulator(str(CONFIGURED.output))
events.Reload()
losses = {
    tag.removeprefix("train/"): np.array([(event.step, event.value) for event in events.Scalars(tag)])
    for tag in events.Tags()["scalars"]
    if tag.startswith("train/")
}
lines = (CONFIGURED.output / "metrics.jsonl").read_text().splitlines()
epochs = list({epoch["epoch"]: epoch for epoch in map(json.loads, lines)}.values())
steps = max(int(values[-1, 0]) for values in losses.values())


def smoothed(values, window):
    kernel = np.ones(window) / window
    return np.convolve(values, kernel, mode="valid")


figure = Figure(figsize=(12, 3.2), layout="constrained")
left, middle, right = figure.subplots(1, 3)
window = max(1, steps // 40)
for colour, (name, values) in zip(("#0072B2", "#E69F00", "#CC79A7"), losses.items(), strict=False):
    left.plot(values[:, 0], values[:, 1], color=colour, alpha=0.2, linewidth=0.8)
    left.plot(values[window - 1 :, 0], smoothed(values[:, 1], window), color=colour, label=name.replace("_", " "))
left.set(xlabel="step", ylim=(0, None), title=f"training losses, weighted (bold: mean of {window} steps)")
left.legend(frameon=False)
middle.plot([CONFIGURED.learning_rate * warmup_cosine(step, CONFIGURED.warmup_steps, steps) for step in range(steps)],
            color="#555555")  # fmt: skip
middle.set(xlabel="step", ylim=(0, None), title="learning rate")
for colour, name in zip(("#0072B2", "#E69F00", "#CC79A7"), ("acc@0.5", "miou", "pointing"), strict=True):
    right.plot([0, *(each["epoch"] for each in epochs)], [np.nan, *(each[name] for each in epochs)], "o-",
               color=colour, label=name)  # fmt: skip
right.set(xlabel="epoch", xticks=range(len(epochs) + 1), xlim=(0.5, len(epochs) + 0.5), ylim=(0, 1), title="validation")
right.legend(frameon=False)
for axis in (left, middle, right):
    axis.title.set_fontsize(10)
    tidy(axis)
show(figure)
