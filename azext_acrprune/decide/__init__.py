"""What may go and what it frees: pure functions over an inventory, no I/O and no clock."""
