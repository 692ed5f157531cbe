"""A trained run as ONNX files that need neither PyTorch nor this package."""
