from safetensors.torch import load_file

decoders = {"ours, trained here with boxes": HERE, "ours, trained here without boxes": WEAK, "CLIP's own map": None}
if OFFLINE:
    shipped = new_decoder(lora_rank=8)
    shipped.load_state_dict(load_file(WEIGHTS / "refshapes/decoder.safetensors"))
    decoders = {"ours, as the project ships it": shipped.eval()} | decoders
OURS = next(iter(decoders))  # the strongest of ours
# The share of its maximum above which a heatmap gives the best boxes: chosen on some images of the validation split.
some = TrainingImages(dataset["val"], TESTING, chosen=range(len(dataset["val"]))[:30])
THRESHOLDS = {name: max((0.5, 0.6, 0.7), key=lambda relative: accuracy(decoder, some, relative)["Acc@0.5"])
              for name, decoder in decoders.items()}  # fmt: skip
methods = {name: dense_method(TESTING, decoder, relative=THRESHOLDS[name]) for name, decoder in decoders.items()}
methods |= {"YOLO + CLIP": yolo_clip, "bound: the best of YOLO's boxes": best_proposal}
results = {name: [] for name in methods}  # name -> what is measured of each phrase; all are asked the same ones
for index in range(len(dataset["test"])):
    example = dataset["test"][index]
    view = TESTING.encode([example.image])  # frozen features are shared
    for name, method in methods.items():
        results[name] += measured(example, method(example, view))
IDS = np.array([each.phrase.image_id for each in results[OURS]])  # intervals draw images, not phrases
OTHERS = list(MEASURES)[1:]
rows = [[name, with_interval(values_of(answers), IDS), *(f"{values_of(answers, each).mean():.3f}" for each in OTHERS),
         DOCS.get(name, "") * OFFLINE] for name, answers in results.items()]  # fmt: skip
rows += [[name, "", "", "", "", text] for name, text in DOCS.items() if OFFLINE and name not in results]
table(["method", "Acc@0.5 [95 %]", *OTHERS, "Acc@0.5 from the docs, all images"], rows)
print(f"{len(dataset['test']):,} test images, {len(IDS):,} phrases; thresholds, chosen on val: {THRESHOLDS}")
