"""What a run has to know of earlier ones, kept where several machines find it."""
