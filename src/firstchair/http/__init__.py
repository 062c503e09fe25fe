"""The HTTP interface: the server, its workers, and what they answer."""
