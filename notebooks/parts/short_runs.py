SHORT_IMAGES = 16 if FAST else 1000 if OFFLINE else 4000  # of the train split, for each short run
MEASURED_IMAGES = 6 if FAST else None if OFFLINE else 500  # of the validation split
measured_on = RefCOCOg(DATA, "val", group_by="image", subset=MEASURED_IMAGES)
image_ids = np.array([e.image_id for index in range(len(measured_on)) for e in measured_on.expressions_of(index)])
SHOWN = {"acc@0.5": "Acc@0.5", "miou": "mIoU", "pointing": "pointing"}

SHORT = replace(CONFIGURED, subset=SHORT_IMAGES, epochs=1, validation_subset=2, warmup_steps=2 if FAST else 20)


def measures_on_validation(method):
    """Measure -> (P,) values, one for each expression of the validation images."""
    answers = [each for of_image in predict(method_of(method), measured_on) for each in of_image]
    values = summarise(answers, {}, measured_on.regions).values
    return {name: values[name] for name in SHOWN}


def run(name, config):
    folder = RUNS / "short" / "".join(letter if letter.isalnum() else "-" for letter in name)
    began = time.perf_counter()
    with redirect_stdout(io.StringIO()):  # what it prints of its one epoch, on two images of validation
        train(replace(config, output=folder))
    measured = measures_on_validation(load(folder, device=DEVICE))
    print(f"{name}: {time.perf_counter() - began:.0f} seconds, Acc@0.5 {measured['acc@0.5'].mean():.3f}")
    return measured
