def kinds_of(phrase):
    """The subsets that a phrase belongs to: those of the data set, and by the size of its object."""
    x1, y1, x2, y2 = phrase.boxes_xyxy[0]
    share = (x2 - x1) * (y2 - y1) / math.prod(dataset["test"].sizes[phrase.image_id])
    size = "under 2 %" if share < 0.02 else "2 to 6 %" if share < 0.06 else "over 6 %"
    words = len(phrase.text.split())
    here = dataset["test"].regions[phrase.image_id].values()
    rivals = sum(region.category == phrase.category for region in here) - 1
    return [f"tag: {tag}" for tag in phrase.tags] + [
        f"object: {size} of the image",
        f"words: {'1 to 4' if words < 5 else '5 to 8' if words < 9 else '9 or more'}",
        f"others of the category: {rivals if rivals < 3 else '3 or more'}",
    ]


members = {}
for index, each in enumerate(results[OURS]):
    for kind in kinds_of(each.phrase):
        members.setdefault(kind, []).append(index)
few = [name for name in results if "zero-shot" not in name]
right = {name: values_of(results[name]) for name in few}
rows = [[kind, len(which), with_interval(right[OURS][which], IDS[which]),
         *(f"{right[name][which].mean():.3f}" for name in few[1:])]
        for kind, which in sorted(members.items()) if len(np.unique(IDS[which])) > 1]  # fmt: skip
table(["phrases", "n", f"{OURS} [95 %]", *few[1:]], rows)
