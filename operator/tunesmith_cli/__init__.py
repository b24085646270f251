"""The command line: checks manifests, starts the trainer as a process and shows what it says."""
