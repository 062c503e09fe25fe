"""Refused records without PII: what can be kept of a record that nobody could parse."""

import re
from collections.abc import Callable
from typing import Any

import orjson

from firstchair.events.fields import PII

KEPT_CHARACTERS = 2_000
MASK = "***"
EMAIL = re.compile(r"[\w.+%-]+@[\w-]+(\.[\w-]+)*")
USER_ID = re.compile(r"""(["']?user_id["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|[^,}\s]+)""")
PII_FIELD = re.compile(
    rf"""(["']?\b(?:{"|".join(PII)})["']?\s*[:=]\s*)("[^"]*"?|'[^']*'?|\[[^\]]*\]?|[^,}}\s]+)""", re.I
)


def masked(raw: str, pseudonymise: Callable[[str], str]) -> str:
    """`raw` with account keys as pseudonyms and PII as `***`, at most `KEPT_CHARACTERS` long."""
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return _masked_text(raw, pseudonymise)[:KEPT_CHARACTERS]
    return orjson.dumps(_masked_value(value, pseudonymise)).decode()[:KEPT_CHARACTERS]


def _masked_value(value: Any, pseudonymise: Callable[[str], str]) -> Any:
    if isinstance(value, dict):
        return {key: _masked_item(key, item, pseudonymise) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked_value(item, pseudonymise) for item in value]
    return EMAIL.sub(MASK, value) if isinstance(value, str) else value


def _masked_item(key: str, item: Any, pseudonymise: Callable[[str], str]) -> Any:
    if key == "user_id":
        return pseudonymise(item) if isinstance(item, str) else MASK
    return MASK if key.lower() in PII else _masked_value(item, pseudonymise)


def _masked_text(raw: str, pseudonymise: Callable[[str], str]) -> str:
    text = USER_ID.sub(lambda found: found[1] + pseudonymise(found[2].strip("\"'")), raw)
    text = PII_FIELD.sub(lambda found: found[1] + MASK, text)
    return EMAIL.sub(MASK, text)
