"""Cameras, capture devices and hardware codecs."""
