"""Generators as graphs: ONNX from torch, whole frames as one graph, and proof that they agree."""
