"""Artist recommendations in which no model goes live without earning it."""
