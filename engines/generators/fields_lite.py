"""The small generator of fields: half the channels, a quarter of the operations."""

from __future__ import annotations

from engines.generators.fields import Fields


class FieldsLite(Fields):
    """`Fields` with 32 channels."""

    def __init__(self) -> None:
        super().__init__(32, (1, 2, 4, 2, 1))
