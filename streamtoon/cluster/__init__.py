"""Conversions of many videos, and of one video in parallel, on the workers of one machine or of a cluster."""
