from scipy.stats import mannwhitneyu


def set_answers(decoder, of):
    """A `SetAnswer` of every phrase, with all boxes of the heatmap; which are found is decided afterwards.

    The phrases are those of the same images in gRefCOCO's format, or the split's own and some that fit nothing.
    """
    asked_of = {image_id: of.phrases[image_id] + absent for image_id, absent in absent_phrases(of).items()}
    if (DATA / "annotations/grefs(unc).json").is_file():
        asked_of = RefCOCOg(DATA, of.split, references="grefs(unc).json").phrases
    seen, answers = updated_encoder(TESTING, decoder), []
    for index, image_id in enumerate(of.image_ids):
        if asked := asked_of.get(image_id):
            image, texts = of[index].image, [each.text for each in asked]
            found = ground(seen, decoder, seen.encode([image]), image, texts, relative=THRESHOLDS[OURS])
            answers += [SetAnswer(each.boxes_xyxy, each.scores, phrase.boxes_xyxy, each.presence, image_id, ())
                        for each, phrase in zip(found, asked, strict=True)]  # fmt: skip
    return answers


def decided(answers, least_presence, least_score):
    """What is found: nothing where presence is low, else the best box and those that are as hot as asked."""
    return [replace(each, found=() if each.presence < least_presence else tuple(
        i for i, score in enumerate(each.scores) if i == 0 or score >= least_score)) for each in answers]  # fmt: skip


strongest = decoders[OURS]
on_val = set_answers(strongest, dataset["val"])
grid = [(presence, score) for presence in np.linspace(0.1, 0.9, 9) for score in np.linspace(0.1, 0.95, 9)]
chosen = max(grid, key=lambda both: np.mean([is_right(each) for each in decided(on_val, *both)]))
of_sets = decided(set_answers(strongest, dataset["test"]), *chosen)
there = [each for each in of_sets if len(each.annotated_xyxy)]
absent = [each for each in of_sets if not len(each.annotated_xyxy)]
ranks = mannwhitneyu([each.presence for each in there], [each.presence for each in absent]).statistic
rows = [["set accuracy", of_sets, np.mean([is_right(each) for each in of_sets])],
        ["N-acc", absent, np.mean([not each.found for each in absent])],
        ["T-acc", there, np.mean([bool(each.found) for each in there])],
        ["presence, AUROC", of_sets, ranks / (len(there) * len(absent))]]  # fmt: skip
for kind, least, most in (("one object", 1, 1), ("several objects", 2, 99)):
    some = [each for each in there if least <= len(each.annotated_xyxy) <= most]
    rows += [[f"set accuracy, {kind}", some, np.mean([is_right(each) for each in some])]] if some else []
table(["measure", "phrases", f"{OURS}, here", "from the docs, all images"],
      [[name, len(of), f"{value:.3f}", SET_DOCS.get(name, "") * OFFLINE] for name, of, value in rows])  # fmt: skip
