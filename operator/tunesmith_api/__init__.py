"""The Tunesmith API: the custom resources and the contract between trainer, operator and CLI."""
