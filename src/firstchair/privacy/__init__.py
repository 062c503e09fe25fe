"""Accounts without PII: pseudonyms, age groups, city and state."""

from firstchair.privacy.accounts import AccountSample, UsersReport, build_users, sample_users
from firstchair.privacy.generalisation import AGE_GROUPS, age_group, genders
from firstchair.sources import user_key

__all__ = [
    "AGE_GROUPS",
    "AccountSample",
    "UsersReport",
    "age_group",
    "build_users",
    "genders",
    "sample_users",
    "user_key",
]
