FOUNDATION = load_clip()
ENCODER = Encoder(FOUNDATION, model_size=SETTINGS.size, output_stride=STRIDE)
TESTING = ENCODER.at(SETTINGS.test_size)
features_of = {}  # split and whether it is boxed -> features of the frozen CLIP, shared by all trainings below


def new_decoder(**changes):
    """A decoder from the same random start."""
    torch.manual_seed(0)
    return decoder_for(ENCODER, DecoderConfig(**{"presence": True, **changes})).to(DEVICE)


def images_of(split, chosen=None, boxed=True):
    """A split's `TrainingImages`."""
    known = features_of.setdefault((split, boxed), {})
    return TrainingImages(dataset[split], ENCODER, boxed=boxed, chosen=chosen, known=known)


began = time.perf_counter()
training, validation = images_of("train"), images_of("val")
criterion = BoxLosses(new_decoder(lora_rank=0 if OFFLINE else 8)).to(DEVICE)
HERE, history = train("main", criterion, training, epochs=SETTINGS.epochs, steps=len(training) // SETTINGS.images,
                      batch=SETTINGS.images, learning_rate=2e-3 if OFFLINE else 5e-4,
                      validate=(validation, 2))  # fmt: skip
print(f"{SETTINGS.epochs} epochs over {len(training):,} images: {(time.perf_counter() - began) / 60:.1f} minutes, "
      f"with encoding them; {sum(each.numel() for each in HERE.parameters()):,} weights are trained, "
      f"{sum(each.numel() for each in FOUNDATION.model.parameters()):,} of CLIP are frozen")  # fmt: skip
