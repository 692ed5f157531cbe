MINUTES, PROCESSOR = (time.perf_counter() - STARTED) / 60, time.process_time() / 60
print(f"{MINUTES:.1f} minutes, {PROCESSOR:.1f} of a processor's time, with {torch.get_num_threads()} threads; "
      f"{DEVICE.type}, torch {torch.__version__.split('+')[0]}")  # fmt: skip
