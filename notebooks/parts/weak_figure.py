def with_interval(values):
    low, high = interval_by_image(values, image_ids)
    return f"{values.mean():.3f} [{low:.3f}, {high:.3f}]"


rows = [[name, *(with_interval(values[measure]) for measure in SHOWN)] for name, values in supervised.items()]
table(rows, ["method", *(f"{title} [95 %]" for title in SHOWN.values())])

figure = Figure(figsize=(8, 2.6), layout="constrained")
axis = figure.subplots()
places = np.arange(len(SHOWN))
for row, (name, values) in enumerate(supervised.items()):
    means = np.array([values[measure].mean() for measure in SHOWN])
    ends = np.array([interval_by_image(values[measure], image_ids) for measure in SHOWN])
    colour = ("#999999", "#E69F00", "#0072B2", "#009E73")[row]
    axis.bar(places + 0.2 * row, means, 0.2, yerr=abs(ends.T - means), color=colour, label=name, capsize=2)
axis.set_xticks(places + 0.3, list(SHOWN.values()))
axis.set_ylim(0, 1)
tidy(axis)
figure.legend(loc="outside right upper", frameon=False)
show(figure)
