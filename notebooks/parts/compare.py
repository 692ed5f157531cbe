words = ["--config", CONFIG, "--data", DATA, "--output", RUNS / "main" / "test",
         "--methods", json.dumps([str(RUNS / "main"), "zero-shot", "gradcam", "yolo-clip", "reclip"])]  # fmt: skip
EVALUATED = parse(EvaluateConfig, "evaluate", [str(word) for word in words])
began = time.perf_counter()
report_comparison(EVALUATED)
print(
    f"{(time.perf_counter() - began) / 60:.1f} minutes; the whole comparison as a page: {EVALUATED.output}/report.html"
)
RESULTS = json.loads((EVALUATED.output / "results.json").read_text())
METHODS = RESULTS["methods"]
OURS = next(iter(METHODS))  # the run, called after its folder
