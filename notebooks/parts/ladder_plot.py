figure, axis = plt.subplots(figsize=(10, 3.4), layout="constrained")
names = list(results)[::-1]
means = [values_of(results[name]).mean() for name in names]
ends = np.array([interval(values_of(results[name]), IDS) for name in names])
colours = ["#bbbbbb" if "bound" in name else "#3182bd" for name in names]
axis.barh(names, means, xerr=np.abs(ends.T - means), color=colours)
axis.set(xlabel="Acc@0.5, with 95 % intervals", xlim=(0, 1))
axis.grid(alpha=0.3)
plt.show()
table([f"{OURS}, minus ...", "Acc@0.5 [95 %]"],
      [[name, with_interval(values_of(results[OURS]) - values_of(answers), IDS, "+.3f")]
       for name, answers in results.items() if name != OURS])  # fmt: skip
