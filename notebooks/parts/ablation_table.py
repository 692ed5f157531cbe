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
for place, change in enumerate(changes.values()):
    difference = change["miou"]
    axis.plot(difference.interval, [place, place], color="#0072B2", linewidth=2)
    axis.plot(difference.difference, place, "o", color="#0072B2")
axis.axvline(0, color="#555555", linewidth=1)
axis.set_yticks(range(len(changes)), list(changes))
axis.invert_yaxis()
axis.set_xlabel('mIoU minus that of "all parts", 95 % over images')
axis.spines[["top", "right"]].set_visible(False)
show(figure)

apart = [name for name, change in changes.items() if verdict(*change["miou"].interval) != "not separable"]
display(Markdown(
    f"{len(arms)} runs over {SHORT_IMAGES:,} images, measured on {len(image_ids):,} expressions of val. "
    "The intervals are over images: they tell which of *these trained decoders* answer differently from that of all "
    f"parts (by mIoU: {', '.join(apart) if apart else 'none'}). They do not tell whether another seed would repeat it, "
    "and one seed at this size cannot: a difference no larger than that of two seeds says nothing of a part."
))  # fmt: skip
