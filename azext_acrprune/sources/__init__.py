"""Where pins come from: I/O, and nothing but it."""
