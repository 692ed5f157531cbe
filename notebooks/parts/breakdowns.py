def kinds_of(phrase):
    """The subsets that a phrase belongs to: those of the data set, and by its length, its object and the others."""
    x1, y1, x2, y2 = phrase.boxes_xyxy[0]
    share, words = (x2 - x1) * (y2 - y1) / math.prod(dataset["test"].sizes[phrase.image_id]), len(phrase.text.split())
    rivals = sum(each.category == phrase.category for each in dataset["test"].regions[phrase.image_id].values()) - 1
    return [*(f"tag: {tag}" for tag in phrase.tags),
            f"object: {'under 2 %' if share < 0.02 else '2 to 6 %' if share < 0.06 else 'over 6 %'} of the image",
            f"words: {'1 to 4' if words < 5 else '5 to 8' if words < 9 else '9 or more'}",
            f"others of the category: {rivals if rivals < 3 else '3 or more'}"]  # fmt: skip


members = {}
for index, each in enumerate(results[OURS]):
    for kind in kinds_of(each.phrase):
        members.setdefault(kind, []).append(index)
right = {name: values_of(answers) for name, answers in results.items()}
rows = [[kind, len(which), with_interval(right[OURS][which], IDS[which]),
         *(f"{right[name][which].mean():.3f}" for name in right if name != OURS)]
        for kind, which in sorted(members.items()) if len(np.unique(IDS[which])) > 1]  # fmt: skip
table(["phrases", "n", f"{OURS} [95 %]", *list(right)[1:]], rows)
