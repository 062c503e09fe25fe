"""How much of what was delivered is lost: by records, by objects and by bytes."""

# Shares of fewer than these are taken as of these, so that a single fault of a small delivery is no
# rate: records, objects, bytes as stored.
FEWEST_RECORDS, FEWEST_OBJECTS, FEWEST_BYTES = 1_000, 20, 1 << 16


def loss(*, records: tuple[int, int], objects: tuple[int, int], size: tuple[int, int]) -> float:
    """The largest share that was refused, 0..1.

    A record that could not be found in a damaged object is in no count of records, so that counts
    alone hide the loss of whole objects.

    Args:
        records: Refused ones, and all.
        objects: Those without a single event, and all.
        size: Bytes of refused records, and of all.

    >>> loss(records=(50, 100), objects=(1, 10), size=(1 << 18, 1 << 20))
    0.25
    """
    parts = ((records, FEWEST_RECORDS), (objects, FEWEST_OBJECTS), (size, FEWEST_BYTES))
    return max(refused / max(fewest, every) for (refused, every), fewest in parts)
