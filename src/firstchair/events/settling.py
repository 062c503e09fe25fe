"""What killed work left behind in bronze and quarantine: undone, or completed, before new work."""

from collections.abc import Sequence

from firstchair.lake import Lake, connect
from firstchair.lake import tables as t

# Status of an object in bronze/objects: its batch is being read; it was read; some of its refused
# records are being tried again (a row beside that of its reading).
STARTED, DONE, REPLAYING = "started", "done", "replaying"


def undo_dead_batches(lake: Lake) -> None:
    """Take back what a killed batch wrote, its objects are read anew; complete a killed replay."""
    for batch_id in sorted(
        set(lake.read(t.OBJECTS, f"status = '{STARTED}'").column("batch_id").to_pylist())
    ):
        for table in (
            *(t.BRONZE_EVENTS, t.QUARANTINE_EVENTS, t.OBJECT_VERSIONS, t.OBJECT_SIZES),
            t.OBJECTS,
        ):
            lake.delete(table, f"batch_id = '{batch_id}'")
    settle_replays(lake)


def settle_replays(lake: Lake) -> None:
    """Make the counts of objects whose records were tried again those of their records.

    A record that is in bronze/events is taken out of quarantine. What an object holds beside its
    events in bronze and its records in quarantine are duplicates.
    """
    notes = lake.read(t.OBJECTS, f"status = '{REPLAYING}'")
    if not notes.num_rows:
        return
    names = notes.column("object_url").to_pylist()
    of_names = f"batch_id is not null and {named(names)}"
    with connect() as connection:
        connection.register("notes", notes)
        connection.execute(f"""
            create temp table landed as select object_url, line from {lake.scan(t.BRONZE_EVENTS)}
            where object_url in (select object_url from notes);
            create temp table refused as select * from {lake.scan(t.QUARANTINE_EVENTS)}
            where {of_names};
            create temp table left_over as
            select r.* from refused r anti join landed using (object_url, line);
        """)
        left = connection.sql("from left_over order by object_url, line").to_arrow_table()
        refused = connection.sql("select count(*) from refused").fetchall()[0][0]
        counted = connection.sql(f"""
            with l as (select object_url, count(*) as n from landed group by object_url),
            q as (select object_url, count(*) as n from left_over group by object_url),
            counted as (
                select o.*, coalesce(l.n, 0) as events, coalesce(q.n, 0) as refused,
                       o.records - events - refused as repeated
                from {lake.scan(t.OBJECTS)} o left join l using (object_url)
                left join q using (object_url) where o.status = '{DONE}' and {named(names)})
            select c.* replace (
                events as accepted, repeated as duplicates, refused as quarantined,
                c.conflicting_duplicates + case when repeated = c.duplicates + n.duplicates
                    then n.conflicting_duplicates else 0 end as conflicting_duplicates)
            from counted c join notes n using (object_url)
        """).to_arrow_table()
    if left.num_rows != refused:
        lake.replace_where(t.QUARANTINE_EVENTS, left, of_names)
    lake.replace_where(t.OBJECTS, counted, named(names))


def named(objects: Sequence[str]) -> str:
    """Predicate (SQL of the engine and of Delta) of rows about these objects."""
    quoted = ", ".join("'" + name.replace("'", "''") + "'" for name in objects)
    return f"object_url in ({quoted})"
