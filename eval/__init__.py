"""How good a style, a checkpoint or an engine is: metrics named as the papers name them."""
