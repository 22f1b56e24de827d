"""The abstraction program: the slow program whose drawings a fields network learns."""
