from_phrases = replace(model, output_stride=16, decoder=DecoderConfig(kind="adapters"), spatial_rules=True,
                       extraction=ExtractionConfig("grabcut"))  # fmt: skip
UNBOXED = replace(SHORT, model=from_phrases, losses=LossConfig(), composed_per_image=0, images_per_batch=32,
                  learning_rate=2e-3)  # fmt: skip
untrained, with_rules = (
    measures_on_validation(load("zero-shot", model=each, device=DEVICE)) for each in (model, from_phrases)
)
supervised = {
    "zero-shot": untrained,
    "zero-shot, rules and GrabCut": with_rules,
    "adapters, no box": run("adapters, no box", UNBOXED),
    "all parts, every box": arms["all parts"],
}
