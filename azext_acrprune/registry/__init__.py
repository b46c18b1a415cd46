"""Talking to one registry: sign-in, tokens, the HTTP pipeline and the verbs."""
