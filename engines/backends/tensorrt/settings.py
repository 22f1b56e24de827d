"""What TensorRT's builder is told."""

from __future__ import annotations

from dataclasses import dataclass

from engines.errors import EngineError


@dataclass(frozen=True, slots=True)
class BuilderSettings:
    """Of the builder."""

    level: int = 3
    """TensorRT's optimisation level, 0 to 5: higher builds longer and may run faster."""
    workspace: int = 4096
    """MiB of GPU memory that one layer may take for itself."""

    def __post_init__(self) -> None:
        """Raises EngineError for a value out of range."""
        if not 0 <= self.level <= 5:
            raise EngineError(f"the optimisation level is {self.level}: allowed is 0 to 5")
        if not 16 <= self.workspace <= 1 << 20:
            raise EngineError(f"the workspace is {self.workspace} MiB: allowed is 16 to {1 << 20}")

    def __str__(self) -> str:
        return f"level {self.level}, workspace {self.workspace} MiB"
