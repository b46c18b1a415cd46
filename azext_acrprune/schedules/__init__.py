"""Schedules on ACR Tasks: the artifact that a task runs from, the task itself, and the roles that it needs. Pure."""
