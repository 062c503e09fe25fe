"""Quality and speed of the models on public data; the data stand beside the repository and are never copied."""
