"""What may not be built on: a share of a day's records, whatever any one reading read."""

from datetime import date, timedelta
from typing import Any

import pytest

from firstchair import events
from firstchair.errors import DataError
from tests.firstchair.events.conftest import NOW, Delivery, make_event

DAY = date(2026, 1, 5)
AS_OF = DAY + timedelta(days=1)
LATER = NOW + timedelta(hours=1)
LIMIT = 0.2


def cut(number: int) -> bytes:
    """A record that ends in the middle: nothing in it can be read."""
    return str(make_event(number)).encode()[:40]


def unusable(delivery: Delivery, as_of: date = AS_OF) -> str | None:
    return events.unusable(delivery.lake, as_of=as_of, limit=LIMIT)


def test_a_day_of_broken_lines_stays_unusable_however_often_it_is_read(delivery: Delivery) -> None:
    delivery.put("a.jsonl", *[make_event(n) for n in range(400)], *[cut(n) for n in range(600)])
    first = delivery.ingest()
    again = delivery.ingest(now=LATER)

    assert (first.read, again.read) == (1_000, 0)
    assert unusable(delivery) == (
        "600 of 1,000 records of 2026-01-05 were refused and not accepted since; at most 20% may "
        "be missing."
    )
    with pytest.raises(DataError, match=r"600 not_json \(first: a.jsonl line 401"):
        events.require_usable(delivery.lake, as_of=AS_OF, limit=LIMIT)


def test_records_that_are_delivered_again_make_their_day_usable(delivery: Delivery) -> None:
    delivery.put(
        "a.jsonl", *[make_event(n) for n in range(400)], *[cut(n) for n in range(400, 1_000)]
    )
    delivery.ingest()
    delivery.put("b.jsonl", *[make_event(n) for n in range(400, 700)])
    delivery.ingest(now=LATER)
    half_way = unusable(delivery)
    delivery.put("c.jsonl", *[make_event(n) for n in range(700, 1_000)])
    delivery.ingest(now=LATER + timedelta(hours=1))

    assert half_way is not None
    assert unusable(delivery) is None
    assert events.lost_before(delivery.lake, AS_OF)[0].lost == 0


def test_a_record_whose_id_is_accepted_later_is_not_lost_and_another_one_does_not_stand_for_it(
    delivery: Delivery,
) -> None:
    sound = [make_event(n) for n in range(300)]
    delivery.put("a.jsonl", *sound, *[make_event(n, source_seq="x") for n in range(1_000, 1_300)])
    delivery.ingest()
    delivery.put("b.jsonl", *[make_event(n) for n in range(2_000, 2_300)])
    delivery.ingest(now=LATER)
    others = events.lost_before(delivery.lake, AS_OF)[0].lost
    delivery.put("c.jsonl", *[make_event(n) for n in range(1_000, 1_300)])
    delivery.ingest(now=LATER)

    assert (others, events.lost_before(delivery.lake, AS_OF)[0].lost) == (300, 0)


def test_a_healthy_day_may_be_built_after_a_bad_one_unless_too_much_of_all_is_lost(
    delivery: Delivery,
) -> None:
    def next_day(number: int) -> dict[str, Any]:
        return make_event(number, occurred_at="2026-01-06T10:00:00Z")

    delivery.put("a.jsonl", *[make_event(n) for n in range(400)], *[cut(n) for n in range(600)])
    delivery.put("b.jsonl", *[next_day(n) for n in range(1_000, 2_000)])
    delivery.ingest()
    of_all = unusable(delivery, AS_OF + timedelta(days=1))
    delivery.put("c.jsonl", *[next_day(n) for n in range(2_000, 3_500)])
    delivery.ingest()

    assert of_all is not None
    assert of_all.startswith("600 of 2,000 records of all days before 2026-01-07")
    assert unusable(delivery, AS_OF + timedelta(days=1)) is None
    assert unusable(delivery) is not None


def test_a_few_broken_lines_of_a_small_day_stop_nothing(delivery: Delivery) -> None:
    delivery.put("a.jsonl", make_event(1), *[cut(n) for n in range(20)])
    delivery.ingest()

    assert unusable(delivery) is None


def test_what_validation_refuses_counts_until_the_day_is_built_with_it_known(
    delivery: Delivery,
) -> None:
    delivery.put("a.jsonl", *[make_event(n, user_id="nobody") for n in range(300)])
    delivery.ingest()
    before = unusable(delivery)
    delivery.build()

    assert before is None
    assert unusable(delivery) is not None
