"""What to archive and what to restore, and how an archive is written down: pure functions, no I/O."""
