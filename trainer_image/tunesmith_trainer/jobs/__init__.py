"""The recipes, one readable page per kind of job."""
