"""Which images and repositories use the bytes of a registry, as documents for people."""
