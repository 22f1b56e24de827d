"""Importing third-party generators as the user's own styles.

A graph or a file of weights is untrusted. Its bytes are checked first (`engines.untrusted.onnx_validator`,
`engines.untrusted.safetensors_validator`), then it is tried in a separate process with limits on memory and
time (`engines.importing.sandbox_worker`). What a graph does not declare (the layout of its images, the values
of black and white, the sizes that it accepts) is determined by experiment and verified on a test image.
"""
