print(f"{(time.perf_counter() - STARTED) / 60:.1f} minutes with {torch.get_num_threads()} threads, "
      f"{platform.machine()}, {DEVICE.type}; torch {torch.__version__.split('+')[0]}")  # fmt: skip
