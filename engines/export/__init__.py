"""Exporting generators to graphs: ONNX, whole frames as one graph, and checks that the results agree."""
