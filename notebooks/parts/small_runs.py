SMALL = np.random.default_rng(0).permutation(len(dataset["train"]))[: SETTINGS.small]


def small_run(name, decoder, *, contrast=0.0, chosen=SMALL, images=None):
    """A short training from the same start, measured on the validation split, which chose nothing in it."""
    criterion = BoxLosses(decoder, contrast).to(DEVICE)
    trained, _ = train(name, criterion, images or images_of("train", chosen), epochs=1, steps=SETTINGS.steps,
                       batch=SETTINGS.images, learning_rate=2e-3)  # fmt: skip
    return accuracy(trained, validation)


began = time.perf_counter()
ABLATION = {
    "region adapter, box masks, presence": small_run("small", new_decoder()),
    "... without the region adapter": small_run("no adapter", new_decoder(adapter=False)),
    "... with the region-phrase contrast": small_run("contrast", new_decoder(), contrast=0.5),
    "... with low-rank updates of CLIP": small_run("updates", new_decoder(lora_rank=8)),
}
table(["trained", "Acc@0.5", "pointing"],
      [[name, *(f"{value:.3f}" for value in measured_.values())] for name, measured_ in ABLATION.items()])  # fmt: skip
print(f"{SETTINGS.steps} steps over {len(SMALL)} images each, seed 0; on {len(validation)} validation images, "
      f"{len(dataset['val'].all_phrases)} phrases; {(time.perf_counter() - began) / 60:.1f} minutes")  # fmt: skip
