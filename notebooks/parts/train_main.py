FOUNDATION = load_clip()
ENCODER = Encoder(FOUNDATION, model_size=SETTINGS.size, output_stride=SETTINGS.stride)
TESTING = ENCODER.at(SETTINGS.test_size)
HEATMAP_STRIDE = SETTINGS.stride // 4
features_of = {}  # split and whether it is boxed -> features of the frozen CLIP, shared by all trainings below


def new_decoder(**changes):
    """A decoder from the same random start."""
    torch.manual_seed(0)
    return decoder_for(ENCODER, DecoderConfig(**{"presence": True, **changes})).to(DEVICE)


def images_of(split, chosen=None, boxed=True):
    """A split's `TrainingImages`."""
    known, stride = features_of.setdefault((split, boxed), {}), HEATMAP_STRIDE if boxed else SETTINGS.stride
    return TrainingImages(dataset[split], ENCODER, stride=stride, boxed=boxed, chosen=chosen, known=known)


began = time.perf_counter()
training, validation = images_of("train"), images_of("val")
criterion = BoxCriterion(ENCODER, new_decoder(lora_rank=0 if OFFLINE else 8), LossConfig()).to(DEVICE)
HERE, history = train("main", criterion, training, epochs=SETTINGS.epochs, steps=len(training) // SETTINGS.images,
                      batch=SETTINGS.images, learning_rate=2e-3 if OFFLINE else 5e-4,
                      validate=validator(validation, batch=2))  # fmt: skip
print(f"{SETTINGS.epochs} epochs over {len(training):,} images: {(time.perf_counter() - began) / 60:.1f} minutes, "
      f"with encoding them; {sum(each.numel() for each in HERE.parameters()):,} weights are trained, "
      f"{sum(each.numel() for each in FOUNDATION.model.parameters()):,} of CLIP are frozen")  # fmt: skip
