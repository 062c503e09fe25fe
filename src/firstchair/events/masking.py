"""Records without PII: what may be kept of unknown fields, and of a record that was refused."""

import re
from collections.abc import Callable
from typing import Any

import orjson

from firstchair.events.fields import PII

KEPT_CHARACTERS = 2_000
MASK = "***"
# An account key shorter than this stands in other texts by accident.
TELLING_CHARACTERS = 6
EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)*")
COORDINATE = re.compile(r"-?\b\d{1,3}\.\d{3,}\b")
USER_ID = re.compile(r"""(["']?user_id["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|[^,;&}\s]+)""")
PII_FIELD = re.compile(
    rf"""(["']?\b(?:{"|".join(PII)})["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|\[[^\]]*\]?|[^,;&}}\s]+)""", re.I
)
PII_NAMES = frozenset(PII)


def masked(raw: str, pseudonymise: Callable[[str], str]) -> str:
    """`raw` with account keys as pseudonyms and PII as `***`, at most `KEPT_CHARACTERS` long.

    What is no JSON also loses every number that could be a coordinate.
    """
    try:
        value = orjson.loads(raw)
        own = {user_id: pseudonymise(user_id) for user_id in _account_keys(value)}
        text = orjson.dumps(_masked(value, own)).decode()
    except (ValueError, TypeError, RecursionError):  # no JSON, or nested deeper than can be walked
        text = _masked_text(raw, pseudonymise)
    return text[:KEPT_CHARACTERS]


def without_pii(extra: str, user_id: str, user_key: str) -> str | None:
    """JSON object `extra`, keys sorted, with no field of PII at any depth; None where nothing is left.

    Args:
        extra: A JSON object, at most `MAX_DEPTH` deep.
        user_id: Account key of its event, replaced in texts by `user_key`.
        user_key: The pseudonym of that account.
    """
    left = _stripped(orjson.loads(extra), {user_id: user_key})
    return orjson.dumps(left, option=orjson.OPT_SORT_KEYS).decode() if left else None


def _stripped(value: Any, own: dict[str, str]) -> Any:
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key.lower() not in PII_NAMES and key != "user_id"}
        return {_plain(key, own): _stripped(item, own) for key, item in kept.items()}
    if isinstance(value, list):
        return [_stripped(item, own) for item in value]
    return _plain(value, own) if isinstance(value, str) else value


def _account_keys(value: Any) -> set[str]:
    if isinstance(value, dict):
        said = {item for key, item in value.items() if key == "user_id" and isinstance(item, str)}
        return said.union(*map(_account_keys, value.values()))
    return set().union(*map(_account_keys, value)) if isinstance(value, list) else set()


def _masked(value: Any, own: dict[str, str]) -> Any:
    if isinstance(value, dict):
        return {_plain(key, own): _masked_item(key, item, own) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item, own) for item in value]
    return _plain(value, own) if isinstance(value, str) else value


def _masked_item(key: str, item: Any, own: dict[str, str]) -> Any:
    if key == "user_id":
        return own[item] if isinstance(item, str) else MASK
    return MASK if key.lower() in PII_NAMES else _masked(item, own)


def _plain(text: str, own: dict[str, str]) -> str:
    for user_id, user_key in own.items():
        if len(user_id) >= TELLING_CHARACTERS:
            text = text.replace(user_id, user_key)
    return EMAIL.sub(MASK, text) if "@" in text else text


def _masked_text(raw: str, pseudonymise: Callable[[str], str]) -> str:
    own = {said: pseudonymise(said) for said in (found[2].strip("\"'") for found in USER_ID.finditer(raw))}
    text = PII_FIELD.sub(lambda found: found[1] + MASK, raw)
    text = COORDINATE.sub(MASK, EMAIL.sub(MASK, text))
    text = USER_ID.sub(lambda found: found[1] + own.get(found[2].strip("\"'"), MASK), text)
    return _plain(text, own)
