"""What users did today, as the workers of one machine know it."""
