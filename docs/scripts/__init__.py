"""Scripts that make pages and pictures of the documents; run each from the repository root."""
