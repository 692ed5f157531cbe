from collections import Counter

answers = results[OURS]
names = [name for name, _ in Counter(each.phrase.category for each in answers).most_common(16)]
columns = [*names, "other", "nothing"]
counts = np.zeros((len(names), len(columns)))
for each in answers:
    if each.phrase.category in names:
        column = each.found if each.found in columns else "other"
        counts[names.index(each.phrase.category), columns.index(column)] += 1
shares = counts / counts.sum(axis=1, keepdims=True)
figure, axis = plt.subplots(figsize=(8, 6), layout="constrained")
axis.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
axis.set_xticks(range(len(columns)), columns, rotation=45, ha="right", fontsize=8)
axis.set_yticks(range(len(names)), [f"{names[row]} ({counts[row].sum():.0f})" for row in range(len(names))], fontsize=8)
axis.set(xlabel="found", ylabel="wanted (phrases)")
for (row, column), share in np.ndenumerate(shares):
    if share >= 0.005:
        axis.text(column, row, f"{100 * share:.0f}", ha="center", va="center", fontsize=7,
                  color="white" if share > 0.5 else "#333333")  # fmt: skip
plt.show()
right_category = np.array([each.found == each.phrase.category for each in answers])
wrong = np.array([each.ious[0] < 0.5 for each in answers])
print(f"{OURS}: the best box lies on an object of the right category for {100 * right_category.mean():.1f} % of all "
      f"phrases, and for {100 * right_category[wrong].mean():.1f} % of the {wrong.sum():,} wrong ones")  # fmt: skip
