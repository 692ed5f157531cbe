def measured(phrase, answer, regions):
    """An answer beside its annotation: what tables and pictures ask of it; `ious` of its boxes, best-scored first."""
    box, target = answer.boxes_xyxy[0], phrase.boxes_xyxy[0]
    over = most_overlapped(box, np.array([region.box_xyxy for region in regions]))
    return SimpleNamespace(phrase=phrase, ious=ious_with(answer.boxes_xyxy, target), box_xyxy=box,
                           score=float(answer.scores[0]), presence=answer.presence,
                           pointed=point_inside(hottest_point(answer.heatmap), target),
                           found="nothing" if over is None else regions[over].category)  # fmt: skip


def measure(methods, dataset):
    """Name -> `measured` of every phrase: all methods are asked the same phrases; frozen features are shared."""
    results = {name: [] for name in methods}
    for index in range(len(dataset)):
        example = dataset[index]
        view = TESTING.encode([example.image])
        for name, method in methods.items():
            results[name] += [measured(phrase, answer, example.regions) for phrase, answer in
                              zip(example.phrases, method(example, view), strict=True)]  # fmt: skip
    return results


MEASURES = {
    "Acc@0.5": lambda each: float(each.ious[0] >= 0.5),
    "mIoU": lambda each: float(each.ious[0]),
    "Pointing": lambda each: float(each.pointed),
    "R@5": lambda each: float((each.ious[:5] >= 0.5).any()),
}
OTHERS = list(MEASURES)[1:]


def values_of(answers, measure="Acc@0.5"):
    """(P,) a measure of each answer."""
    return np.array([MEASURES[measure](each) for each in answers])


def with_interval(values, image_ids, form=".3f"):
    """A mean with its 95 % interval, as text."""
    low, high = interval(values, image_ids)
    return f"{np.mean(values):{form}} [{low:{form}}, {high:{form}}]"
