def part(name, *words):
    """Acc@0.5 of a method on the phrases of a kind."""
    which = [i for kind, all_ in members.items() if all(word in kind for word in words) for i in all_]
    return values_of(results[name])[which].mean() if which else float("nan")


yolo, bound = "YOLO + CLIP", "bound: the best of YOLO's proposals"
BASE = "region adapter, box masks, presence"
gap = ABLATION["... with low-rank updates of CLIP"]["Acc@0.5"] - ABLATION[BASE]["Acc@0.5"]
display(Markdown(f"""
- **Relations and comparison.** On phrases that need a relation, {OURS} reaches {part(OURS, "tag: relation"):.3f} where
  YOLO + CLIP has {part(yolo, "tag: relation"):.3f}; on comparisons {part(OURS, "tag: comparison"):.3f} and
  {part(yolo, "tag: comparison"):.3f}. Attributes, which a crop shows as well: {part(OURS, "tag: attribute"):.3f} and
  {part(yolo, "tag: attribute"):.3f}.
- **Occlusion and size.** Half-hidden objects: {part(OURS, "tag: occluded"):.3f} against
  {part(yolo, "tag: occluded"):.3f}. Small ones: {part(OURS, "tag: small"):.3f} against {part(yolo, "tag: small"):.3f}:
  at stride {SETTINGS.stride} a small object is a cell or two.
- **Where the errors are.** The right object's box is among YOLO's proposals for
  {values_of(results[bound]).mean():.3f} of the phrases: what is missing is the choice, and for us also the box:
  pointing is right for {values_of(results[OURS], "Pointing").mean():.3f}, Acc@0.5
  {values_of(results[OURS]).mean():.3f}.
- **What training is worth.** {SETTINGS.epochs} epochs over {len(training):,} images bring Acc@0.5 on the same phrases
  from {values_of(results["CLIP's own map (zero-shot)"]).mean():.3f} to
  {values_of(results["ours, trained here with boxes"]).mean():.3f}; without boxes, pointing goes from
  {values_of(results["CLIP's own map (zero-shot)"], "Pointing").mean():.3f} to
  {values_of(results["ours, trained here without boxes"], "Pointing").mean():.3f}. Low-rank updates of CLIP change a
  short training by {gap:+.3f} Acc@0.5.
"""))
