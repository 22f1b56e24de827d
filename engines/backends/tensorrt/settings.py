"""Settings of TensorRT's builder."""

from __future__ import annotations

from dataclasses import dataclass

from engines.errors import EngineError


@dataclass(frozen=True, slots=True)
class BuilderSettings:
    """Settings of TensorRT's builder. Raises EngineError for a value out of range."""

    level: int = 3
    """Optimisation level, 0 to 5: a higher one takes longer to build and may run faster."""
    workspace: int = 4096
    """Most GPU memory that one layer may use as scratch space, MiB."""

    def __post_init__(self) -> None:
        """Check the ranges."""
        if not 0 <= self.level <= 5:
            raise EngineError(f"the optimisation level must be 0 to 5, not {self.level}")
        if not 16 <= self.workspace <= 1 << 20:
            raise EngineError(f"the workspace must be 16 to {1 << 20} MiB, not {self.workspace}")

    def __str__(self) -> str:
        return f"level {self.level}, workspace {self.workspace} MiB"
