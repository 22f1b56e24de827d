"""Three pipeline stages (decode, render, encode) with bounded queues between them."""
