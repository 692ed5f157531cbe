contrast, model = SHORT.losses.contrast, SHORT.model
other_stride = replace(model, output_stride=16, model_size=model.model_size // 2,
                       inference_sizes=tuple(size // 2 for size in model.inference_sizes))  # fmt: skip
if model.output_stride == 16:
    other_stride = replace(model, output_stride=32)
flip = not SHORT.augmentation.flip
ARMS = {
    "all parts": SHORT,
    "masks only": replace(SHORT, losses=LossConfig(contrast=replace(contrast, weight=0.0)),
                          composed_per_image=0, model=replace(model, decoder=replace(model.decoder, adapter=False))),
    f"{'no' if contrast.weight else 'with'} contrast": replace(
        SHORT, losses=LossConfig(contrast=replace(contrast, weight=0.0 if contrast.weight else 0.1))
    ),
    "no composed phrases": replace(SHORT, composed_per_image=0),
    f"stride {other_stride.output_stride} at {other_stride.model_size} pixels": replace(SHORT, model=other_stride),
    f"{'with' if flip else 'no'} mirrored images": replace(SHORT, augmentation=replace(SHORT.augmentation, flip=flip)),
}  # fmt: skip
if not SHORT.composed_per_image:
    ARMS["with composed phrases"] = replace(SHORT, composed_per_image=2)
    del ARMS["no composed phrases"]
arms = {name: run(name, config) for name, config in ARMS.items()}
