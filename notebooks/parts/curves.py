figure, axes = plt.subplots(1, 4, figsize=(15, 3.6), layout="constrained")
curves = [(history, "mask_loss", "with boxes: mask loss"), (history, "presence_loss", "with boxes: presence loss"),
          (weak_history, "contrast_loss", "without boxes: contrast")]  # fmt: skip
for axis, (of, name, title) in zip(axes[:3], curves, strict=True):
    for split, style in (("train", "o-"), ("validation", "s--")):
        axis.plot(range(1, len(of) + 1), [each[split][name] for each in of], style, label=split)
    axis.set_title(title, loc="left", fontsize=10)
for of, measure_, label in ((history, "Acc@0.5", "Acc@0.5, with boxes"), (history, "Pointing", "pointing, with boxes"),
                            (weak_history, "Pointing", "pointing, without boxes")):  # fmt: skip
    axes[3].plot(range(1, len(of) + 1), [each["validation"][measure_] for each in of], "o-", label=label)
axes[3].axhline(untrained["Pointing"], color="grey", label="pointing, CLIP untrained")
axes[3].set_title("accuracy on the validation split", loc="left", fontsize=10)
for axis in axes:
    axis.set_xlabel("epoch")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
plt.show()
