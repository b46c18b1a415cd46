"""The main job, to look at: `python -m tests.demo`."""
