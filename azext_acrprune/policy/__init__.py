"""What the user asked for: pure data, and the small languages in which it is said."""
