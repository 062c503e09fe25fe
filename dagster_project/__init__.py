"""The thin shell: what runs, when, in what order; nothing else."""
