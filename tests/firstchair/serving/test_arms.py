"""The publisher, the evidence and a login assign users alike, old publications included."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import pyarrow as pa
import pytest

from firstchair.errors import ModelError
from firstchair.hosts.diskless import Diskless, DisklessConfig
from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.privacy import user_key
from firstchair.promotion import Phase, Registry, Span, Stage, arms_of, build_evidence
from firstchair.promotion.stages import probation
from firstchair.publication import publish, serves
from firstchair.publication.published import open_published
from tests.firstchair.serving.conftest import (
    AS_OF,
    CHALLENGER,
    CHAMPION,
    KEY,
    LENGTH,
    TRENDING,
    shifted,
)

PutOut = Callable[..., Path]
HOLDOUT_SHARE = 0.1
NOON = datetime(2026, 2, 1, 12, tzinfo=UTC).timestamp()
CANARY = Phase(
    Stage.CANARY, CHALLENGER, CHAMPION, 0.05, "first/2", date(2026, 1, 20), date(2026, 1, 20)
)
PHASES = {
    "no stage": None,
    **{
        f"canary at {share:.0%}": Phase(Stage.CANARY, "2", "1", share, "first/2", AS_OF, AS_OF)
        for share in (0.05, 0.2, 0.5)
    },
    **{
        f"probation of {users}": probation(CANARY, users=users, on=AS_OF)
        for users in (2_000, 60_000, 200_000)
    },
}
# What the evidence calls the two arms of a stage.
ARMS = {
    Stage.CANARY: {"challenger": "challenger", "champion": "champion"},
    Stage.PROBATION: {"champion": "challenger", "previous": "champion"},
}


@pytest.fixture
def users() -> list[str]:
    return [f"user-{number}" for number in range(240)]


def asked(root: Path, users: list[str], tmp_path: Path) -> dict[str, dict[str, str]]:
    """The model that each user's answer names."""
    diskless = Diskless(DisklessConfig(root, str(tmp_path / "events"), KEY, seed=1), prefix="test")
    diskless.reload()
    made = diskless.login(users, k=5, now=NOON)
    assert made is not None
    return {user: json.loads(body)["model"] for user, body in zip(users, made[0], strict=True)}


def evidence(lake: Lake, users: list[str], phase: Phase) -> dict[str, str]:
    """The arm of each user in gold/evidence, on the first day of a stage."""
    accounts = [
        {**dict.fromkeys(t.USERS.schema.names), "user_key": user_key(user, KEY)} for user in users
    ]
    lake.overwrite(t.USERS, pa.Table.from_pylist(accounts, schema=t.USERS.schema))
    for table in (t.TRACKS, t.EVENTS):
        lake.overwrite(table, table.schema.empty_table())
    days = {"first": phase.first_day, "last": phase.first_day, "known_until": phase.first_day}
    build_evidence(lake, [Span(phase, None)], **days, salt="first", holdout_share=HOLDOUT_SHARE)
    return {row["user_key"]: row["arm"] for row in lake.read(t.EVIDENCE).to_pylist()}


@pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES)
def test_the_publisher_the_evidence_and_a_login_agree_on_every_user(
    put_out: PutOut,
    platform: Registry,
    lake: Lake,
    users: list[str],
    tmp_path: Path,
    phase: Phase | None,
) -> None:
    platform.set_alias("previous", CHALLENGER)
    arms = arms_of(phase, salt="first", holdout_share=HOLDOUT_SHARE)
    roles = {user: arms.role(arms.bucket(bytes.fromhex(user_key(user, KEY)))) for user in users}
    root = put_out(arms=arms)

    published = open_published(root)
    models = asked(root, users, tmp_path)

    rows = {user: published.row(bytes.fromhex(user_key(user, KEY))) for user in users}
    assert {user: published.role_of(row) for user, row in rows.items()} == roles
    assert {user: model["role"] for user, model in models.items()} == roles
    versions = {
        "champion": CHAMPION,
        "challenger": CHALLENGER,
        "previous": CHALLENGER,
        "holdout": TRENDING,
    }
    assert {user: model["version"] for user, model in models.items()} == {
        u: versions[r] for u, r in roles.items()
    }
    assert set(roles.values()) == {role for role, _ in arms.bounds}
    if phase is not None:
        in_arms = {
            user_key(u, KEY): ARMS[phase.stage][role]
            for u, role in roles.items()
            if role != "holdout"
        }
        assert evidence(lake, users, phase) == in_arms


def as_format_4(root: Path) -> None:
    """Put what is published in the form of earlier releases: one role has another name."""
    (folder,) = (root / "versions").iterdir()
    manifest = json.loads((folder / "manifest.json").read_text())
    for path in folder.glob("holdout.*"):
        path.rename(folder / path.name.replace("holdout", "holdback"))
    name = "2026-02-01-0123456789ab"
    text = json.dumps(manifest | {"format": 4, "version": name}).replace("holdout", "holdback")
    old = json.loads(text)
    old["roles"] = {
        role: found | {"canary": role == "challenger"} for role, found in old["roles"].items()
    }
    (folder / "manifest.json").write_text(json.dumps(old))
    folder.rename(folder.with_name(name))
    (root / "CURRENT").write_text(name)


def test_a_publication_of_the_format_before_is_served_with_its_holdout(
    put_out: PutOut, lake: Lake, platform: Registry, users: list[str], tmp_path: Path
) -> None:
    arms = arms_of(PHASES["canary at 50%"], salt="first", holdout_share=HOLDOUT_SHARE)
    root = put_out(arms=arms)
    before = asked(root, users, tmp_path)

    as_format_4(root)

    assert asked(root, users, tmp_path) == before
    assert {model["role"] for model in before.values()} == {"champion", "challenger", "holdout"}
    published = open_published(root)
    holdout = next(row for row in range(published.users) if published.role_of(row) == "holdout")
    listed = published.columns["holdout"].artists[holdout * LENGTH : (holdout + 1) * LENGTH]
    assert [published.artist_ids[artist] for artist in listed] == shifted(0)
    served = serves(root)
    assert served is not None
    assert served.arms == arms.bounds  # so the promotion sensor does not ask for these lists again

    publish(lake, platform, as_of=AS_OF, root=root, list_length=LENGTH, arms=arms)

    assert asked(root, users, tmp_path) == before
    assert len(list((root / "versions").iterdir())) == 2


@pytest.mark.parametrize("change", [{"format": 3}, {"arms": []}])
def test_a_publication_that_names_no_arms_is_refused(
    put_out: PutOut, change: dict[str, object]
) -> None:
    root = put_out()
    (path,) = (root / "versions").glob("*/manifest.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | change))

    with pytest.raises(ModelError, match="No whole published version"):
        open_published(root)
