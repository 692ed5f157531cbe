reference = arms["all parts"]
changes = {
    name: {measure: paired_difference(values[measure], reference[measure], image_ids) for measure in SHOWN}
    for name, values in arms.items()
    if name != "all parts"
}
rows = [
    [name, *(f"{values[measure].mean():.3f}" for measure in SHOWN),
     *(signed(changes[name][measure]) if name in changes else "" for measure in ("acc@0.5", "miou"))]
    for name, values in arms.items()
]  # fmt: skip
table(rows, ["arm", *SHOWN.values(), "Acc@0.5 minus all parts [95 %]", "mIoU minus all parts [95 %]"])

figure = Figure(figsize=(8, 0.42 * len(changes) + 1.1), layout="constrained")
axis = figure.subplots()
for place, (name, change) in enumerate(changes.items()):
    difference = change["miou"]
    axis.plot(difference.interval, [place, place], color="#0072B2", linewidth=2)
    axis.plot(difference.difference, place, "o", color="#0072B2")
axis.axvline(0, color="#555555", linewidth=1)
axis.set_yticks(range(len(changes)), list(changes))
axis.invert_yaxis()
axis.set_xlabel('mIoU minus that of "all parts" on the same phrases; 95 % over images, of one training each')
axis.spines[["top", "right"]].set_visible(False)
show(figure)

margins = [max(abs(end) for end in change["miou"].interval) for change in changes.values()]
apart = [name for name, change in changes.items() if verdict(*change["miou"].interval) != "not separable"]
display(Markdown(
    f"{len(arms)} runs over {SHORT_IMAGES:,} images, measured on {len(image_ids):,} expressions of the validation split. "
    f"The intervals are about *phrases*: they tell whether these {len(arms)} trained decoders differ, and by mIoU "
    + (f"{', '.join(apart)} do differ from all parts. " if apart else "none does from all parts. ")
    + "They do not tell whether another seed would repeat it, and one seed at this size cannot: a difference as "
    "small as that between two seeds says nothing about the part that was left out."
))  # fmt: skip
