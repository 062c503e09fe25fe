"""The HTTP interface: the server, its workers, and their answers."""
