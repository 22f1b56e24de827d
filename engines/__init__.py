"""Styles and what runs them: networks, looks, backends."""

from __future__ import annotations

from engines.common.telemetry import silence_onnxruntime

silence_onnxruntime()  # before any module can import it
