figure, axes = plt.subplots(1, 4, figsize=(15, 3.6), layout="constrained")
losses = [("with boxes: mask loss", history, "mask_loss"), ("with boxes: presence loss", history, "presence_loss"),
          ("without boxes: contrast", weak_history, "contrast_loss")]  # fmt: skip
curves = [(axis, title, split, of, split, name) for axis, (title, of, name) in zip(axes, losses, strict=False)
          for split in ("train", "validation")]  # fmt: skip
curves += [(axes[3], "accuracy on the validation split", f"{name}, {label} boxes", of, "validation", name)
           for name, label, of in (("Acc@0.5", "with", history), ("Pointing", "with", history),
                                   ("Pointing", "without", weak_history))]  # fmt: skip
axes[3].axhline(untrained["Pointing"], color="grey", label="Pointing, CLIP untrained")
for axis, title, label, of, split, name in curves:
    style = "o-" if split == "train" else "s--"
    axis.plot(range(1, len(of) + 1), [each[split][name] for each in of], style, label=label)
    axis.set(title=title, xlabel="epoch")
    axis.grid(alpha=0.3)
    axis.legend(fontsize=8)
plt.show()
