"""Backends that run a generator: OpenVINO, ONNX Runtime, torch and TensorRT."""
