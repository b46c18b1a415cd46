"""An archive of what is deleted, as one OCI image layout, and the way back from it."""
