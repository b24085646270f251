"""The trainer: what runs in a pod or on a laptop to plan and do a job."""
