SHARES = (0.0, 0.05, 0.1, 0.5)
weakly = WeakConfig(teacher_sizes=(128,) if FAST else (448,) if OFFLINE else (640,))
supervised = {}
for share in SHARES:
    # Beside true boxes the teacher counts for less.
    losses = replace(SHORT.losses, weak=weakly if share == 0 else replace(weakly, map_weight=0.3))
    kind = "weak" if share == 0 else "mixed"
    supervised[share] = run(
        f"boxes of {100 * share:.0f} %", replace(SHORT, supervision=kind, boxes_fraction=share, losses=losses)
    )
supervised[1.0] = arms["all parts"]  # the same images, phrases and steps, with every box
untrained = measures_on_validation(load("zero-shot", model=model, device=DEVICE))
