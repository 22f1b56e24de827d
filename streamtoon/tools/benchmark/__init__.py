"""The benchmark behind `streamtoon bench`."""
