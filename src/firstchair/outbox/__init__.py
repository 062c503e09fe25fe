"""What was accepted, on disk first and in the event store soon after."""
