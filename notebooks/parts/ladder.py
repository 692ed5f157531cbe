def best_relative(decoder):
    """The share of its maximum above which a heatmap gives the best boxes, on some validation images."""
    seen, right = updated_encoder(TESTING, decoder), {relative: [] for relative in (0.4, 0.5, 0.6, 0.7, 0.8)}
    for index in range(min(40, len(dataset["val"]))):
        example = dataset["val"][index]
        answers = ground(seen, decoder, seen.encode([example.image]), example.image, example.texts)
        for phrase, answer in zip(example.phrases, answers, strict=True):
            for relative, so_far in right.items():
                boxes, _ = boxes_from_heatmap(answer.heatmap, relative_threshold=relative)
                so_far.append(ious_with(boxes[:1], phrase.boxes_xyxy[0])[0] >= 0.5)
    return max(right, key=lambda relative: np.mean(right[relative]))


decoders = {"ours, trained here with boxes": HERE, "ours, trained here without boxes": WEAK,
            "CLIP's own map (zero-shot)": None}  # fmt: skip
if OFFLINE:
    shipped = new_decoder(lora_rank=8)
    shipped.load_state_dict(load_file(WEIGHTS / "refshapes/decoder.safetensors"))
    decoders = {"ours, as the project ships it": shipped.eval()} | decoders
THRESHOLDS = {name: best_relative(decoder) for name, decoder in decoders.items()}
methods = {name: dense_method(decoder, relative=THRESHOLDS[name]) for name, decoder in decoders.items()}
methods |= {"YOLO + CLIP": yolo_clip, "bound: the best of YOLO's proposals": best_proposal}
results = measure(methods, dataset["test"])
OURS = next(iter(results))  # the strongest of ours
IDS = ids_of(results[OURS])
# What the project measured on all images of the test split, with its interval (docs/claims.json; see section 6).
DOCS = {"ours, as the project ships it": "refshapes", "CLIP's own map (zero-shot)": "zero-shot",
        "YOLO + CLIP": "yolo-clip", "bound: the best of YOLO's proposals": "yolo-oracle"}  # fmt: skip


def documented(method):
    """A method's Acc@0.5 in docs/claims.json, with its interval."""
    value, low, high = CLAIMS[method][:3]
    return f"{value:.3f} [{low:.3f}, {high:.3f}]"


rows = [[name, with_interval(values_of(answers), IDS),
         *(f"{values_of(answers, measure).mean():.3f}" for measure in list(MEASURES)[1:]),
         documented(DOCS[name]) if OFFLINE and name in DOCS else ""] for name, answers in results.items()]  # fmt: skip
if OFFLINE:
    rows += [[name, "", "", "", "", documented(key)] for name, key in
             (("ReCLIP-style rules on YOLO + CLIP", "reclip"), ("Grad-CAM", "gradcam"),
              ("ours without boxes, with rules and GrabCut", "refshapes-weak"), ("a random proposal", "random-proposal"))]  # fmt: skip
table(["method", "Acc@0.5 [95 %]", *list(MEASURES)[1:], "Acc@0.5 in docs, all images"], rows)
print(f"{len(dataset['test']):,} test images, {len(IDS):,} phrases; thresholds, chosen on val: {THRESHOLDS}")
