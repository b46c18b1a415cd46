"""Reading a whole registry into an inventory."""
