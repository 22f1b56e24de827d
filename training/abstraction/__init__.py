"""The slow program that draws: what a fields network learns to imitate."""
