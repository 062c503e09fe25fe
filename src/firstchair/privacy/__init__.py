"""Accounts without PII: pseudonyms, age groups, city and state."""

from firstchair.privacy.accounts import UsersReport, build_users
from firstchair.privacy.generalisation import AGE_GROUPS, age_group, genders
from firstchair.sources import user_key

__all__ = ["AGE_GROUPS", "UsersReport", "age_group", "build_users", "genders", "user_key"]
