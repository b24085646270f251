"""What a job leaves behind: the layout, the manifest, atomic publishing, the model card."""
