"""Accepted events and impressions: first on the disk (spool), soon after in the event store."""
