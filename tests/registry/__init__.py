"""An Azure Container Registry that runs in one process on loopback, for tests and the demo."""
