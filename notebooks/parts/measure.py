@dataclass(frozen=True)
class Measured:
    """One answer beside its annotation: IoU of each box, best-scored first, and what else is asked of it below."""

    phrase: Phrase
    ious: np.ndarray
    box_xyxy: np.ndarray
    score: float
    presence: float
    pointed: bool
    found: str  # category of the annotated object that the best box overlaps most


def measured(phrase, answer, regions):
    """The `Measured` of one `Grounding`."""
    over = most_overlapped(answer.boxes_xyxy[0], np.array([region.box_xyxy for region in regions]))
    return Measured(phrase, ious_with(answer.boxes_xyxy, phrase.boxes_xyxy[0]), answer.boxes_xyxy[0],
                    float(answer.scores[0]), answer.presence,
                    point_inside(hottest_point(answer.heatmap), phrase.boxes_xyxy[0]),
                    "nothing" if over is None else regions[over].category)  # fmt: skip


def measure(methods, dataset):
    """Name -> `Measured` of every phrase: all methods are asked the same phrases; frozen features are shared."""
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
    "R@5": lambda each: recall_at(each.ious, 5),
}


OTHERS = list(MEASURES)[1:]


def values_of(answers, measure="Acc@0.5"):
    """(P,) a measure of each answer."""
    return np.array([MEASURES[measure](each) for each in answers])


def with_interval(values, image_ids, form=".3f"):
    """A mean with its 95 % interval, as text."""
    low, high = intervals_by_image(np.asarray(values, dtype=float)[None], image_ids)[0]
    return f"{np.mean(values):{form}} [{low:{form}}, {high:{form}}]"
