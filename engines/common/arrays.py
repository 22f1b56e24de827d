"""Names for the NumPy arrays that several modules pass around."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
"""8-bit code values, any shape."""
Floats = NDArray[np.float32]
"""Single precision, any shape."""
Image = NDArray[np.uint8]
"""H x W x 3, RGB, 0..255."""
