"""Styles and their engines: networks, looks and the backends that run them."""

from __future__ import annotations

from engines.common.telemetry import silence_onnxruntime

silence_onnxruntime()  # before any module imports ONNX Runtime
