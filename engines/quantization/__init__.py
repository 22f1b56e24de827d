"""Graphs in int8 and fp8."""
