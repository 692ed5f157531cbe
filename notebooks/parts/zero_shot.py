SIZES = (96, 128) if FAST else (192, 256, 320, 384, 448) if OFFLINE else (320, 448, 576)
zero_shot = {}
for sizes in (*((size,) for size in SIZES), SIZES[-2:]):
    at_sizes = replace(SHORT.model, inference_sizes=sizes)
    zero_shot[" + ".join(map(str, sizes))] = measures_on_validation(load("zero-shot", model=at_sizes, device=DEVICE))
rows = [[name, *(with_interval(values[measure]) for measure in SHOWN)] for name, values in zero_shot.items()]
table(rows, ["input size", *(f"{title} [95 %]" for title in SHOWN.values())])
