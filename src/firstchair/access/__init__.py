"""Who may do what at the HTTP interface: allowed hosts, tokens, sessions, limits, audit lines."""
