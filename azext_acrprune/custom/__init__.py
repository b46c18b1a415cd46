"""The commands: gather, decide, show or apply. Options that several commands share arrive together, as `kwargs`."""
