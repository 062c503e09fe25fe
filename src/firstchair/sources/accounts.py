"""The account table and the catalogue as their owners define them; we only read them."""

import sqlalchemy as sa

metadata = sa.MetaData()

USERS = sa.Table(
    "users",
    metadata,
    sa.Column("user_id", sa.Text, primary_key=True),
    sa.Column("email", sa.Text),
    sa.Column("birth_date", sa.Date),
    sa.Column("age", sa.Integer),
    sa.Column("gender", sa.Text),
    sa.Column("latitude", sa.Double),
    sa.Column("longitude", sa.Double),
    sa.Column("country", sa.Text),  # ISO 3166-1 alpha-2
    sa.Column("created_at", sa.TIMESTAMP(timezone=True)),
    sa.Column("updated_at", sa.TIMESTAMP(timezone=True)),
)
ARTISTS = sa.Table(
    "artists",
    metadata,
    sa.Column("artist_id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text),
    sa.Column("first_active_on", sa.Date),
    sa.Column("followers", sa.BigInteger),
    sa.Column("genres", sa.ARRAY(sa.Text)),
)
# A column that the table of artists may have: the artist that this one was merged into.
REDIRECT_TO: sa.Column[str] = sa.Column("redirect_to", sa.Text)
TRACKS = sa.Table(
    "tracks",
    metadata,
    sa.Column("track_id", sa.Text, primary_key=True),
    sa.Column("artist_id", sa.Text),
    sa.Column("title", sa.Text),
    sa.Column("duration_ms", sa.Integer),
    sa.Column("released_on", sa.Date),
)
