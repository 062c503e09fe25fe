"""Quality and speed of the models on public data, which stand beside the repository."""
