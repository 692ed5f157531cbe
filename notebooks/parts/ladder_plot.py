figure, axes = plt.subplots(1, 2, figsize=(14, 3.6), layout="constrained", width_ratios=(3, 2))
names = list(results)[::-1]
means = [values_of(results[name]).mean() for name in names]
ends = np.array([intervals_by_image(values_of(results[name])[None], IDS)[0] for name in names])
axes[0].barh(names, means, xerr=np.abs(ends.T - means),
             color=["#bbbbbb" if "bound" in name else "#3182bd" for name in names])  # fmt: skip
axes[0].set(xlabel="Acc@0.5, with 95 % intervals", xlim=(0, 1))
for name, answers in results.items():
    best = np.array([each.ious[0] for each in answers])
    axes[1].plot(np.linspace(0.05, 0.95, 19), [(best >= at).mean() for at in np.linspace(0.05, 0.95, 19)], label=name)
axes[1].set(xlabel="IoU threshold", ylabel="accuracy", ylim=(0, 1))
axes[1].legend(fontsize=7)
for axis in axes:
    axis.grid(alpha=0.3)
plt.show()
table([f"{OURS}, minus ...", "Acc@0.5 [95 %]"],
      [[name, with_interval(values_of(results[OURS]) - values_of(answers), IDS, "+.3f")]
       for name, answers in results.items() if name != OURS])  # fmt: skip
