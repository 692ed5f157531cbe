from scipy.stats import mannwhitneyu


def set_answers(of):
    """Boxes, scores and presence of every phrase, and the annotated boxes; which boxes are found is decided afterwards.
    The phrases are those of the same images in gRefCOCO's format, or the split's own and some that fit nothing."""
    asked_of, answers = {image_id: of.phrases[image_id] + absent for image_id, absent in absent_phrases(of).items()}, []
    if (DATA / "annotations/grefs(unc).json").is_file():
        asked_of = RefCOCOg(DATA, of.split, references="grefs(unc).json").phrases
    for index, image_id in enumerate(of.image_ids):
        if asked := asked_of.get(image_id):
            answers += [(each.boxes_xyxy, each.scores, each.presence, phrase.boxes_xyxy) for each, phrase in
                        zip(methods[OURS](of[index]._replace(phrases=asked)), asked, strict=True)]  # fmt: skip
    return answers


def decided(answers, least_presence, least_score):
    """(found boxes, annotated boxes): none where presence is low, else the best one and those as hot as asked."""
    return [(boxes[(presence >= least_presence) & ((scores >= least_score) | (np.arange(len(boxes)) == 0))], annotated)
            for boxes, scores, presence, annotated in answers]  # fmt: skip


def share_right(pairs):
    """Of how many phrases each annotated object has one box at IoU 0.5, and each box an object."""
    return np.mean([len(found) == len(boxes) == matched(found, boxes) for found, boxes in pairs])


on_val, on_test = set_answers(dataset["val"]), set_answers(dataset["test"])
grid = [(presence, score) for presence in np.linspace(0.1, 0.9, 9) for score in np.linspace(0.1, 0.95, 9)]
of_sets = decided(on_test, *max(grid, key=lambda both: share_right(decided(on_val, *both))))
there, absent = [each for each in of_sets if len(each[1])], [each for each in of_sets if not len(each[1])]
presences = [[each[2] for each in on_test if bool(len(each[3])) is fits] for fits in (True, False)]
rows = [["set accuracy", of_sets, share_right(of_sets)],
        ["N-acc", absent, np.mean([not len(found) for found, _ in absent])],
        ["T-acc", there, np.mean([bool(len(found)) for found, _ in there])],
        ["presence, AUROC", of_sets, mannwhitneyu(*presences).statistic / (len(there) * len(absent))]]  # fmt: skip
several = [each for each in there if len(each[1]) > 1]
rows += [["set accuracy, several objects", several, share_right(several)]] if several else []
table(["measure", "phrases", f"{OURS}, here", "from the docs, all images"],
      [[name, len(of), f"{value:.3f}", SET_DOCS.get(name, "") * OFFLINE] for name, of, value in rows])  # fmt: skip
