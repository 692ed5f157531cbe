def with_interval(values):
    low, high = interval_by_image(values, image_ids)
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


shown = {
    "zero-shot, no training": untrained,
    **{f"boxes of {100 * share:.0f} %": each for share, each in supervised.items()},
}
rows = [[name, *(with_interval(values[measure]) for measure in SHOWN)] for name, values in shown.items()]
table(rows, ["supervision", *(f"{title} [95 %]" for title in SHOWN.values())])

figure = Figure(figsize=(10, 3.2), layout="constrained")
panels = figure.subplots(1, len(SHOWN))
for axis, (measure, title) in zip(panels, SHOWN.items(), strict=True):
    means = [values[measure].mean() for values in supervised.values()]
    ends = [interval_by_image(values[measure], image_ids) for values in supervised.values()]
    places = range(len(supervised))
    axis.fill_between(places, *zip(*ends, strict=True), color="#0072B2", alpha=0.15, linewidth=0)
    axis.plot(places, means, "o-", color="#0072B2", label="trained")
    axis.axhline(untrained[measure].mean(), color="#D55E00", linestyle="--", label="zero-shot")
    axis.set_xticks(places, [f"{100 * share:.0f} %" for share in supervised])
    axis.set(xlabel="images with boxes", title=title)
    tidy(axis)
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False)
show(figure)
