CONFIG = "configs/demo-full.yaml" if OFFLINE else "configs/refcocog.yaml"
PRECISION = "no"
if DEVICE == "cuda":  # a T4 computes bf16, but slowly
    PRECISION = "bf16" if torch.cuda.get_device_capability() >= (8, 0) else "fp16"
words = ["--config", CONFIG, "--data", DATA, "--output", RUNS / "main", "--mixed_precision", PRECISION,
         "--resume", "true"]  # fmt: skip
if FAST:
    words += ["--subset", 16, "--validation_subset", 4, "--epochs", 2, "--model.model_size", 128,
              "--model.inference_sizes", "[]", "--warmup_steps", 2]  # fmt: skip
CONFIGURED = parse(TrainConfig, "train", [str(word) for word in words])

began = time.perf_counter()
train(CONFIGURED)
print(f"{(time.perf_counter() - began) / 60:.1f} minutes")
