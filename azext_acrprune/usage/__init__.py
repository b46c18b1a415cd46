"""Who holds which bytes of a registry, told for people."""
