"""Today's signals of users, shared by the workers of one machine."""
