"""A trained run as ONNX files that need neither PyTorch nor this package; `python -m grounding.deployment.export` writes them."""
