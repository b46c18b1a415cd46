"""How the service speaks: tokens, refusals, listings and rates. Pure."""
