"""Event objects without some users: their records go, whatever form a sender gives them."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from firstchair import events
from firstchair.erasure.identity import Identities, Identity
from firstchair.erasure.landing import Landed
from firstchair.erasure.tables import erase_rows
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.mappings import EventMapping
from firstchair.sources import EventStore
from tests.firstchair.events.conftest import KEY as DELIVERY_KEY
from tests.firstchair.events.conftest import Delivery, make_event

KEY = b"a test's key"
NOW = datetime(2026, 2, 1, tzinfo=UTC)
LEAVES = Identity.of("k1", KEY, email="ann@example.org")
SEGMENT = EventMapping.model_validate({"preset": "segment"})


def landed(folder: Path, mapping: EventMapping | None = None) -> Landed:
    return Landed(EventStore(str(folder), {}), NOW, mapping)


def call(user: str, **more: Any) -> str:
    """A track call of Segment."""
    at = "2026-01-05T12:00:00Z"
    fields = {"type": "track", "event": "Song Played", "messageId": user, "timestamp": at}
    return json.dumps({**fields, "userId": user, "context": {"ip": "203.0.113.9"}, **more})


def test_records_of_another_form_go_whole_and_others_keep_their_lines(
    tmp_path: Path, lake: Lake
) -> None:
    lines = [call("k1"), call("k10"), "", call("k1", timestamp="never"), call("bob", by="k1")]
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress("\n".join(lines).encode()))
    (tmp_path / "b.jsonl").write_text(call("bob"))
    objects, leaving = landed(tmp_path, SEGMENT), Identities([LEAVES])

    assert objects.objects_with(leaving) == {LEAVES: ["a.jsonl.gz"]}
    assert objects.rewrite(lake, ["a.jsonl.gz"], leaving) == ["a.jsonl.gz"]

    kept = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert kept == ["", lines[1], "", "", lines[4]]
    assert objects.objects_with(leaving) == {}
    (noted,) = lake.read(t.OBJECT_VERSIONS).to_pylist()
    assert noted["store_version"] == objects.store.states()["a.jsonl.gz"].version
    assert noted["was_read"]


def test_the_field_of_the_mapping_says_whose_a_record_is(tmp_path: Path) -> None:
    mapping = EventMapping.model_validate({"preset": "segment", "user_id": "customer"})
    (tmp_path / "a.jsonl").write_text(call("bob", customer="k1"))

    assert landed(tmp_path, mapping).objects_with(Identities([LEAVES])) == {LEAVES: ["a.jsonl"]}
    assert landed(tmp_path, SEGMENT).objects_with(Identities([LEAVES])) == {}


def test_a_refused_record_that_names_the_user_goes_and_a_name_in_another_is_masked(
    tmp_path: Path, lake: Lake
) -> None:
    lines = ['{"mail":"ann@example.org"', '{"note":"to ann@example.org"}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines))

    assert landed(tmp_path).rewrite(lake, ["a.jsonl"], Identities([LEAVES])) == ["a.jsonl"]

    masked = '{"note":"to xxxxxxxxxxxxxxx"}'
    assert (tmp_path / "a.jsonl").read_text() == f"\n{masked}\n"


def test_an_object_in_which_a_record_would_change_its_line_stays_as_it_is(
    tmp_path: Path, lake: Lake
) -> None:
    text = '{"a":\n 1}{"b":2}\n{"user_id":"k1"}'
    (tmp_path / "a.json").write_text(text)
    leaving = Identities([LEAVES])

    assert landed(tmp_path).rewrite(lake, ["a.json"], leaving) == []
    assert (tmp_path / "a.json").read_text() == text
    assert landed(tmp_path).objects_with(leaving) == {LEAVES: ["a.json"]}


def test_refused_records_of_others_are_tried_again_after_a_rewrite(
    tmp_path: Path, lake: Lake
) -> None:
    delivery = Delivery(lake, tmp_path / "landing")
    delivery.know()
    early, leaving = "2026-01-03T10:00:00Z", Identity.of("user-bob", DELIVERY_KEY)
    delivery.put(
        "a.jsonl",
        make_event(1, user_id="user-bob", occurred_at=early),
        make_event(2),
        make_event(3, user_id="user-bob"),
        make_event(4, occurred_at=early),
        make_event(4, user_id="user-bob", occurred_at=early),  # a duplicate has no place
        b'{"note": "of user-bob"',
    )
    delivery.ingest(now=datetime(2026, 1, 4, 12, tzinfo=UTC))
    identities = Identities([leaving])
    erase_rows(delivery.lake, identities, now=NOW)
    landed(delivery.folder).rewrite(delivery.lake, ["a.jsonl"], identities)

    tried = events.replay_quarantine(
        delivery.lake, events_url=str(delivery.folder), pseudonym_key=DELIVERY_KEY, now=NOW
    )
    delivery.build()

    assert tried.unreadable == events.Unreadable(gone=1, first="a.jsonl")
    assert delivery.ids() == ["event-2", "event-4"]
    assert events.reconcile(delivery.lake).balanced
