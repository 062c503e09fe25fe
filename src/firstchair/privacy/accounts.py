"""The account table into silver/users: one row a user, with nothing that names or places a person exactly."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pandas as pd
import pyarrow as pa
import sqlalchemy as sa

from firstchair.lake import Lake
from firstchair.lake import tables as t
from firstchair.privacy.generalisation import UNKNOWN, age_group, age_on, countries, genders, places
from firstchair.sources import accounts, read_table, user_key
from firstchair.validation import validate

SUITE = "users"


@dataclass(frozen=True, slots=True)
class UsersReport:
    """What stands in silver/users.

    rows: accepted users. read: account rows. quarantined: refused rows by reason.
    unknown: accepted users whose age group, gender, country or city is `unknown`.
    age_groups: accepted users by age group.
    """

    rows: int
    read: int
    quarantined: dict[str, int]
    unknown: dict[str, int]
    age_groups: dict[str, int]


def build_users(lake: Lake, url: sa.URL, *, pseudonym_key: bytes, now: datetime) -> UsersReport:
    """Put the accounts, generalised, in place of silver/users, and the refused ones of quarantine/users.

    Raises:
        SourceError: The account table cannot be read; the last snapshot stands.
    """
    accepted, refused = [], []
    for people in _people(url, pseudonym_key, now):
        failures: dict[int, Any] = {}
        for failure in validate(people.drop(columns="created_at"), SUITE).failures if len(people) else ():
            failures.setdefault(failure.row, failure)
        sound = people[~people.index.isin(failures)]
        accepted.append(pa.Table.from_pandas(sound, schema=t.USERS.schema, preserve_index=False))
        refused += [
            {"user_key": people.at[row, "user_key"], "reason": f.reason, "detail": f.detail, "quarantined_at": now}
            for row, f in sorted(failures.items())
        ]
    users = pa.concat_tables([t.USERS.schema.empty_table(), *accepted])
    lake.overwrite(t.QUARANTINE_USERS, pa.Table.from_pylist(refused, schema=t.QUARANTINE_USERS.schema))
    lake.overwrite(t.USERS, users.sort_by("user_key"))
    unknown = {
        name: users.column(name).to_pylist().count(UNKNOWN) for name in ("age_group", "gender", "country", "city")
    }
    return UsersReport(
        rows=users.num_rows,
        read=users.num_rows + len(refused),
        quarantined=dict(Counter(row["reason"] for row in refused)),
        unknown=unknown,
        age_groups=dict(sorted(Counter(users.column("age_group").to_pylist()).items())),
    )


def _people(url: sa.URL, key: bytes, now: datetime) -> Iterator[pd.DataFrame]:
    """Account rows in the columns of silver/users and what the suite looks at besides."""
    for rows in read_table(url, accounts.USERS):
        coordinates = [pd.to_numeric(rows[name], errors="coerce").to_numpy(float) for name in ("latitude", "longitude")]
        where = places(*coordinates)
        said = countries(rows["country"])
        # In microseconds: pandas' own nanoseconds end with the year 2262.
        created = pa.array(rows["created_at"], t.UTC_INSTANT).to_pandas()
        yield pd.DataFrame(
            {
                "user_key": [user_key(user, key) if user else None for user in rows["user_id"]],
                "age_group": _age_groups(rows, now),
                "gender": genders(rows["gender"]),
                "country": said.where(said != UNKNOWN, where["country"]),
                "state": where["state"],
                "city": where["city"],
                "created_at": created,
                "created": created.notna().map({True: "yes", False: None}),
                "created_after_reading": (created > now).map({True: "created_at is after the reading", False: None}),
            }
        )


def _age_groups(rows: pd.DataFrame, now: datetime) -> list[str]:
    """By the date of birth where it is plausible, else by the age."""
    born = [UNKNOWN if day is None else age_group(age_on(now.date(), day)) for day in rows["birth_date"]]
    return [age_group(age) if group == UNKNOWN else group for group, age in zip(born, rows["age"], strict=True)]
