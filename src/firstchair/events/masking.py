"""Records without PII: what may be kept of unknown fields, and of a record that was refused."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import orjson

from firstchair.events.fields import NAMES
from firstchair.events.personal import MASK, is_account_key, is_personal, without_shapes

KEPT_CHARACTERS = 2_000
# A record up to so long is masked field by field. Each text of it is searched for each of its
# account keys, so the work grows with the square of the length.
MASKED_BY_FIELD = 8 * KEPT_CHARACTERS
# An account key shorter than this stands in other texts by accident.
FEWEST_CHARACTERS = 6
INSTANT = re.compile(r"[\d-]{10}[Tt ][\d:.]+(?:[Zz]|[+-][\d:]{5})")
# A coordinate has at least so many digits behind its point.
DECIMALS = 3
# Fields that name what another field of the same object holds.
LABELS = frozenset({"name", "key", "k", "field", "property", "attribute", "label", "type", "param"})
VALUES = frozenset({"value", "values", "v", "val", "content", "text", "data"})
# What of a text that is no JSON may be kept: the values of the contract's fields.
KEPT = frozenset(NAMES) - {"user_id"}
# name=value and "name": value, as in query strings, headers and JSON that is cut.
_NAME = re.compile(r"""(?<![\w.-])["']?([\w.-]+)["']?\s*[:=]\s*""")
_QUOTED = r""""(?:[^"\\]|\\.)*"?|'[^']*'?"""
_VALUE = re.compile(_QUOTED + r"|\[[^\]]*\]?|[^,;&}\r\n]+")
_PART = re.compile(_QUOTED + r"|(?<![\w.])-?\d[\d.]*")
Pseudonyms = Mapping[str, str]


def masked(raw: str, pseudonymise: Callable[[str], str]) -> str:
    """`raw` with account keys as pseudonyms and PII as `***`, at most `KEPT_CHARACTERS` long.

    What is no JSON, or longer than `MASKED_BY_FIELD`, keeps the names in it, and values of the
    contract's fields alone.
    """
    try:
        value = orjson.loads(raw if len(raw) <= MASKED_BY_FIELD else "")
        own = {account: pseudonymise(account) for account in _accounts(value)}
        text = orjson.dumps(_cleaned(value, own, keep_names=True)).decode()
    except (ValueError, TypeError, RecursionError):  # no JSON, or nested deeper than can be walked
        text = _masked_text(_start(raw), pseudonymise)
    return text[:KEPT_CHARACTERS]


def is_whole(raw: str) -> bool:
    """Whether a masked record still holds all that it held, but for account keys: a JSON object.

    >>> is_whole('{"user_id":"1036b827e7a35bd2"}'), is_whole('{"email":"***"}'), is_whole('{"a":')
    (True, False, False)
    """
    if len(raw) >= KEPT_CHARACTERS or MASK in raw:
        return False
    try:
        return isinstance(orjson.loads(raw), dict)
    except orjson.JSONDecodeError:
        return False


def _start(raw: str) -> str:
    """As much of a text as can be kept of it once it is masked, without a part that is cut."""
    start = raw[: 2 * KEPT_CHARACTERS]
    return start if len(start) == len(raw) else start[: start.rfind(" ") + 1] or start


def _masked_text(raw: str, pseudonymise: Callable[[str], str]) -> str:
    """A text that cannot be parsed, less every value but those of the contract."""
    own: dict[str, str] = {}

    def of_field(name: str, value: str) -> str:
        bare = value.strip("\"' ")
        if is_account_key(name):
            own[bare] = pseudonymise(bare)
            return own[bare]
        return value if name in KEPT else MASK

    done: list[str] = []
    place = 0
    while (name := _NAME.search(raw, place)) is not None:
        done.append(_PART.sub(MASK, raw[place : name.start()]) + name[0])
        place = name.end()
        is_inner = raw[place : place + 1] in {"[", "{"}
        value = None if is_inner else _VALUE.match(raw, place)
        if value is not None:
            done.append(of_field(name[1], value[0]))
            place = value.end()
    text = "".join(done) + _PART.sub(MASK, raw[place:])
    return _without_accounts(without_shapes(text), own)


def without_pii(extra: str, user_id: str, user_key: str) -> str | None:
    """JSON object `extra`, keys sorted, with no field of PII at any depth; None where nothing is left.

    A field goes by its name, in any spelling; a value that is named by the field beside it, as in
    `{"key": "dob", "value": ...}`, and values of a personal shape are masked. Texts that hold JSON or
    pairs of name and value are read as such.

    Args:
        extra: A JSON object, at most `MAX_DEPTH` deep.
        user_id: Account key of its event, replaced in texts by `user_key`.
        user_key: The pseudonym of that account.
    """
    left = _cleaned(orjson.loads(extra), {user_id: user_key}, keep_names=False)
    return orjson.dumps(left, option=orjson.OPT_SORT_KEYS).decode() if left else None


def _cleaned(value: Any, own: Pseudonyms, *, keep_names: bool) -> Any:
    """The value without PII; `keep_names`: fields of PII stay, with masked values."""
    if isinstance(value, dict):
        return dict(_cleaned_items(value, own, keep_names=keep_names))
    if isinstance(value, list):
        if _is_place(value):
            return MASK
        if len(value) == 2 and isinstance(value[0], str) and _identifies(value[0]):
            return [value[0], MASK]
        return [_cleaned(item, own, keep_names=keep_names) for item in value]
    return _cleaned_text(value, own) if isinstance(value, str) else value


def _cleaned_items(
    value: dict[str, Any], own: Pseudonyms, *, keep_names: bool
) -> Iterator[tuple[str, Any]]:
    labelled = any(
        key.lower() in LABELS and isinstance(item, str) and _identifies(item)
        for key, item in value.items()
    )
    for key, item in value.items():
        if is_account_key(key):
            if keep_names:
                yield key, own.get(item, MASK) if isinstance(item, str) else MASK
        elif is_personal(key):
            if keep_names:
                yield key, MASK
        elif labelled and key.lower() in VALUES:
            yield key, MASK
        elif key == "occurred_at" and isinstance(item, str) and INSTANT.fullmatch(item):
            yield key, item  # midnight of an old day looks like a date of birth
        else:
            yield _cleaned_text(key, own), _cleaned(item, own, keep_names=keep_names)


def _identifies(name: str) -> bool:
    return is_personal(name) or is_account_key(name)


def _is_place(value: list[Any]) -> bool:
    """Whether a list is latitude and longitude, in either order, perhaps with a height."""
    first = value[:2]
    return len(value) in {2, 3} and all(
        isinstance(number, float) and abs(number) <= 180 and number != round(number, DECIMALS - 1)
        for number in first
    )


def _accounts(value: Any) -> set[str]:
    if isinstance(value, dict):
        given = {
            item for key, item in value.items() if is_account_key(key) and isinstance(item, str)
        }
        return given.union(*map(_accounts, value.values()))
    return set().union(*map(_accounts, value)) if isinstance(value, list) else set()


def _cleaned_text(text: str, own: Pseudonyms) -> str:
    if text.lstrip()[:1] in {"{", "["}:
        try:
            inner = orjson.loads(text)
        except orjson.JSONDecodeError:
            pass
        else:
            cleaned = _cleaned(inner, own, keep_names=False)
            return text if cleaned == inner else orjson.dumps(cleaned).decode()
    if "=" in text or ":" in text:
        text = _without_pairs(text, own)
    return _without_accounts(without_shapes(text), own)


def _without_pairs(text: str, own: Pseudonyms) -> str:
    """The text with the values behind personal names masked."""
    done: list[str] = []
    place = 0
    while (name := _NAME.search(text, place)) is not None:
        done.append(text[place : name.end()])
        place = name.end()
        value = _VALUE.match(text, place) if _identifies(name[1]) else None
        if value is not None:
            bare = value[0].strip("\"' ")
            done.append(own.get(bare, MASK) if is_account_key(name[1]) else MASK)
            place = value.end()
    return "".join(done) + text[place:]


def _without_accounts(text: str, own: Pseudonyms) -> str:
    for user_id, user_key in own.items():
        if len(user_id) >= FEWEST_CHARACTERS:
            text = text.replace(user_id, user_key)
    return text
