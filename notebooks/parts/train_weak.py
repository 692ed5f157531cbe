began = time.perf_counter()
unboxed, unboxed_validation = images_of("unboxed", boxed=False), images_of("val", boxed=False)
MANY = min(48, len(unboxed) // 2)  # images of a batch: each is one more that a phrase must not find
torch.manual_seed(0)
adapters = decoder_for(ENCODER, DecoderConfig(kind="adapters")).to(DEVICE)
WEAK, weak_history = train("weak", AdapterLosses(adapters).to(DEVICE), unboxed, epochs=SETTINGS.epochs,
                           steps=len(unboxed) // MANY, batch=MANY, learning_rate=2e-3,
                           validate=(unboxed_validation, len(unboxed_validation)))  # fmt: skip
untrained = accuracy(None, unboxed_validation)
# fmt: off
print(f"{len(weak_history)} epochs over {len(unboxed):,} images: {(time.perf_counter() - began) / 60:.1f} minutes; "
      f"pointing on val: {untrained['Pointing']:.3f} before, {weak_history[-1]['validation']['Pointing']:.3f} after")
# fmt: on
