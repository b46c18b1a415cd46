"""Plans and results as people read them."""
