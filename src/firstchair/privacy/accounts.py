"""The account table into silver/users: one row per user, without exact personal data."""

from collections import Counter
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from firstchair.lake import Lake, keep_former_users
from firstchair.lake import tables as t
from firstchair.mappings import TableMapping
from firstchair.privacy.defaults import Defaults, find_defaults
from firstchair.privacy.generalisation import UNKNOWN, age_group, age_on, countries, genders, places
from firstchair.sources import REPEATS, Tombstones, accounts, read_table, user_key
from firstchair.validation import validate

SUITE = "users"
GENERALISED = ("age_group", "gender", "country", "city")


@dataclass(frozen=True, slots=True)
class UsersReport:
    """What stands in silver/users.

    rows: accepted users. read: account rows. quarantined: refused rows by reason.
    unknown: accepted users whose age group, gender, country or city is `unknown`.
    age_groups: accepted users by age group.
    elsewhere: account rows whose coordinates lie in another country than the account names.
    defaults: account rows by column that hold a value which far more accounts share than chance
        allows (`firstchair.privacy.defaults`). Coordinates and dates of birth of these are unknown
        in silver/users; their `created_at` is kept.
    forgotten: account rows of forgotten users, which are left out.
    """

    rows: int
    read: int
    quarantined: dict[str, int]
    unknown: dict[str, int]
    age_groups: dict[str, int]
    elsewhere: int
    defaults: dict[str, int]
    forgotten: int = 0


def build_users(
    lake: Lake,
    url: sa.URL,
    *,
    pseudonym_key: bytes,
    now: datetime,
    tombstones: Tombstones | None = None,
    mapping: TableMapping | None = None,
) -> UsersReport:
    """Replace silver/users by the generalised accounts, and quarantine/users by the refused.

    Users whose account was accepted before and is not now go to silver/former_users. Forgotten
    users are in none of the three. The mapping says how the source has the table of accounts; of
    rows with one `user_id` the one that was updated last is accepted.

    Raises:
        SourceError: The account table cannot be read; the last snapshot stands.
    """
    accepted, refused, elsewhere = [], [], 0
    forgotten: list[str] = []
    defaults = find_defaults(url, mapping)
    for rows in read_table(url, accounts.USERS, mapping=mapping):
        known, erased = _apart(rows, tombstones)
        forgotten += [user_key(user, pseudonym_key) for user in erased]
        people = _people(known, pseudonym_key, now, defaults)
        elsewhere += int(people.pop("elsewhere").sum())
        failures = _failures(people)
        sound = people[~people.index.isin(failures)]
        accepted.append(pa.Table.from_pandas(sound, schema=t.USERS.schema, preserve_index=False))
        refused += [
            {
                "user_key": people.at[row, "user_key"],
                "reason": f.reason,
                "detail": f.detail,
                "quarantined_at": now,
            }
            for row, f in sorted(failures.items())
        ]
    users = pa.concat_tables([t.USERS.schema.empty_table(), *accepted])
    lake.overwrite(
        t.QUARANTINE_USERS, pa.Table.from_pylist(refused, schema=t.QUARANTINE_USERS.schema)
    )
    keep_former_users(lake, users, forgotten=pa.array(forgotten, pa.string()), left_on=now.date())
    lake.overwrite(t.USERS, users.sort_by("user_key"))
    unknown = {name: users.column(name).to_pylist().count(UNKNOWN) for name in GENERALISED}
    return UsersReport(
        rows=users.num_rows,
        read=users.num_rows + len(refused) + len(forgotten),
        quarantined=dict(Counter(row["reason"] for row in refused)),
        unknown=unknown,
        age_groups=dict(sorted(Counter(users.column("age_group").to_pylist()).items())),
        elsewhere=elsewhere,
        defaults=defaults.accounts,
        forgotten=len(forgotten),
    )


@dataclass(frozen=True, slots=True)
class AccountSample:
    """The first accounts of a source: rows read, refused ones by reason, values understood.

    understood: share of the rows whose age group, gender, country or city is known (0 to 1).
    """

    read: int
    refused: dict[str, int]
    understood: dict[str, float]


def sample_users(
    url: sa.URL, *, now: datetime, at_most: int, mapping: TableMapping | None = None
) -> AccountSample:
    """Judge the first accounts as `build_users` would; nothing is written.

    Raises:
        SourceError: The account table cannot be read.
    """
    frames = read_table(url, accounts.USERS, mapping=mapping, at_most=at_most)
    rows = next(frames, None)
    if rows is None:
        return AccountSample(0, {}, {})
    people = _people(rows, b"", now, Defaults(frozenset(), frozenset(), {}))
    refused = Counter(f.reason for f in _failures(people.drop(columns="elsewhere")).values())
    understood = {name: float((people[name] != UNKNOWN).mean()) for name in GENERALISED}
    return AccountSample(len(rows), dict(refused), understood)


def _failures(people: pd.DataFrame) -> dict[int, Any]:
    """The first failure of each row that is not accepted."""
    failures: dict[int, Any] = {}
    if len(people):
        for failure in validate(people.drop(columns="created_at"), SUITE).failures:
            failures.setdefault(failure.row, failure)
    return failures


def _apart(rows: pd.DataFrame, tombstones: Tombstones | None) -> tuple[pd.DataFrame, list[str]]:
    """The account rows but those of forgotten users, and the account keys of these rows."""
    if not tombstones:
        return rows, []
    forgotten = rows["user_id"].isin(tombstones.among(user for user in rows["user_id"] if user))
    return rows[~forgotten].reset_index(drop=True), rows.loc[forgotten, "user_id"].tolist()


def _people(rows: pd.DataFrame, key: bytes, now: datetime, defaults: Defaults) -> pd.DataFrame:
    """Account rows in the columns of silver/users and what the suite looks at besides.

    The country is the account's where it is a code, else that of the coordinates. State and city
    are always those of the coordinates: a listener abroad, or in a territory with a code of its
    own, has both. `elsewhere` marks rows where the two differ.
    """
    where = _places(rows, defaults)
    said = countries(rows["country"])
    named = said != UNKNOWN
    # In microseconds: pandas' own nanoseconds end with the year 2262.
    created = pa.array(rows["created_at"], t.UTC_INSTANT).to_pandas()
    return pd.DataFrame(
        {
            "user_key": [user_key(user, key) if user else None for user in rows["user_id"]],
            "age_group": _age_groups(rows, now, defaults),
            "gender": genders(rows["gender"]),
            "country": said.where(named, where["country"]),
            "state": where["state"],
            "city": where["city"],
            "created_at": created,
            "created": created.notna().map({True: "yes", False: None}),
            "created_after_reading": (created > now).map(
                {True: "created_at is after the reading", False: None}
            ),
            "repeated_user_id": rows[REPEATS].map({True: "another row counts", False: None}),
            "elsewhere": named & (where["country"] != UNKNOWN) & (where["country"] != said),
        }
    )


def _places(rows: pd.DataFrame, defaults: Defaults) -> pd.DataFrame:
    """The place of each row, unknown where the coordinates are a default."""
    degrees = rows[["latitude", "longitude"]].apply(pd.to_numeric, errors="coerce")
    latitude, longitude = degrees.to_numpy(dtype=float).T
    pairs = zip(latitude, longitude, strict=True)
    default = np.array([pair in defaults.coordinates for pair in pairs], dtype=bool)
    return places(np.where(default, np.nan, latitude), longitude)


def _age_groups(rows: pd.DataFrame, now: datetime, defaults: Defaults) -> list[str]:
    """By the date of birth where it is plausible and no default, else by the age."""
    days = [None if day in defaults.birth_dates else day for day in rows["birth_date"]]
    born = [UNKNOWN if day is None else age_group(age_on(now.date(), day)) for day in days]
    return [
        age_group(age) if group == UNKNOWN else group
        for group, age in zip(born, rows["age"], strict=True)
    ]
