"""What runs a generator: OpenVINO, ONNX Runtime, torch, TensorRT."""
