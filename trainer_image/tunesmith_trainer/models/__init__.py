"""From a model's URI to a module with a head: resolve, inspect, tokenize, load."""
