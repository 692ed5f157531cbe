print(f"everything above took {(time.perf_counter() - STARTED) / 60:.1f} minutes on {os.cpu_count()} CPU cores"
      + (f" and {torch.cuda.get_device_name()}" if torch.cuda.is_available() and not OFFLINE else ""))  # fmt: skip
