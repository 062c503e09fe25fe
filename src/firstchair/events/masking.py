"""What is kept of records: the allowed fields of accepted ones, the contract's of refused ones."""

import re
from collections.abc import Callable, Collection
from typing import Any

import orjson

from firstchair.events.fields import FIELDS, NAMES, NUMBER, TEXT, TRUTH, WHOLE
from firstchair.events.parsing import RFC_3339
from firstchair.events.personal import MASK, is_account_key, is_personal, without_shapes
from firstchair.mappings import EventMapping
from firstchair.sources import is_plain_name

KEPT_CHARACTERS = 2_000
# An account key shorter than this stands in other texts by accident: it counts as a whole word.
FEWEST_CHARACTERS = 6
# Texts of the contract are keys and names of systems; free text, such as a name, has blanks.
IDENTIFIER = re.compile(r"[\w.:/+=-]{1,200}")
_TYPES = {TEXT: (str,), WHOLE: (int,), NUMBER: (int, float), TRUTH: (bool,)}
_TYPES_OF = {field.name: (*_TYPES[field.json_types], type(None)) for field in FIELDS}
_WORD = re.compile(r"\w+")
_DIGIT, _LETTER = re.compile(r"\d"), re.compile(r"[^\W\d_]|[^\x00-\x7f]")


def masked(raw: str, pseudonymise: Callable[[str], str]) -> str:
    """What may be read of a refused record, at most `KEPT_CHARACTERS` long.

    Of a JSON object the contract's fields whose values are of their type, the account key as its
    pseudonym, and the names of other fields; every other value is `***`. Of any other text its
    form: each digit as 9 and each letter as a, but for the names of the contract's fields.
    """
    value = _parsed_object(raw)
    if value is None:
        return _form(raw[:KEPT_CHARACTERS])
    user_id = value.get("user_id")
    account = user_id if isinstance(user_id, str) else ""
    shown = {_shown_name(name, account): _readable(name, value[name], account) for name in value}
    if "user_id" in value:
        shown["user_id"] = pseudonymise(account) if account else MASK
    return orjson.dumps(shown).decode()[:KEPT_CHARACTERS]


def is_whole(raw: str, allowed: Collection[str]) -> bool:
    """Whether a masked record is judged and kept as the record itself would be.

    It is if nothing was cut, and no value of the contract's fields or of `allowed` is masked.

    >>> is_whole('{"user_id":"1036b827e7a35bd2","mood":"***"}', allowed=()), is_whole('{"a":', ())
    (True, False)
    """
    value = _parsed_object(raw) if len(raw) < KEPT_CHARACTERS else None
    return value is not None and not any(
        item == MASK for name, item in value.items() if name in NAMES or name in allowed
    )


def allowed_names(extra_fields: Collection[str], mapping: EventMapping | None) -> frozenset[str]:
    """Names of the fields beyond the contract's whose values are kept.

    Args:
        extra_fields: Those of the setting.
        mapping: How records of another form are read; the further fields that it names are kept.
    """
    return frozenset(extra_fields) | frozenset(mapping.further if mapping else ())


def kept_extra(extra: str, user_id: str, user_key: str, allowed: Collection[str]) -> str:
    """The fields beyond the contract's as they are kept: JSON with sorted names.

    Allowed fields keep their values, in objects too, but for addresses, telephone numbers and the
    like in texts. A field that only other types of events have keeps a value of its type. Any
    other field keeps its name alone, and not even that where it does not look like one.

    Args:
        extra: A JSON object.
        user_id: Account key of its event, replaced in texts by `user_key`.
        user_key: The pseudonym of that account.
        allowed: Names of fields. One that says what is personal, such as `age`, allows nothing.
    """
    kept = {
        _shown_name(name, user_id): _kept(item, user_id, user_key, allowed)
        if _is_allowed(name, allowed)
        else _readable(name, item, user_id)
        for name, item in orjson.loads(extra).items()
    }
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS).decode()


def _kept(value: Any, user_id: str, user_key: str, allowed: Collection[str]) -> Any:
    if isinstance(value, dict):
        return {
            _shown_name(name, user_id): _kept(item, user_id, user_key, allowed)
            if _is_allowed(name, allowed)
            else MASK
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_kept(item, user_id, user_key, allowed) for item in value]
    if not isinstance(value, str):
        return value
    if _is_json(value):
        return MASK
    text = without_shapes(value)
    return _as_word(user_id).sub(user_key, text) if _names_account(text, user_id) else text


def _is_allowed(name: str, allowed: Collection[str]) -> bool:
    return name in allowed and not (is_personal(name) or is_account_key(name))


def _readable(name: str, value: Any, user_id: str) -> Any:
    """The value of one of the contract's fields where it is of its type, else `***`."""
    if type(value) not in _TYPES_OF.get(name, ()):
        return MASK
    if not isinstance(value, str):
        return value
    if name == "occurred_at":  # midnight of an old day looks like a date of birth
        return value if re.fullmatch(RFC_3339, value) else MASK
    is_sound = IDENTIFIER.fullmatch(value) and without_shapes(value) == value
    return value if is_sound and not _names_account(value, user_id) else MASK


def _shown_name(name: str, user_id: str) -> str:
    """The name of a field, or `***` where it may be a value, such as the key of another account."""
    is_value = not is_plain_name(name) or _names_account(name, user_id)
    return MASK if is_value and name not in NAMES else name


def _names_account(text: str, user_id: str) -> bool:
    return bool(user_id) and user_id in text and _as_word(user_id).search(text) is not None


def _as_word(user_id: str) -> "re.Pattern[str]":
    """Matches an account key in a text: anywhere, or as a whole word where it is short."""
    key = re.escape(user_id)
    return re.compile(key if len(user_id) >= FEWEST_CHARACTERS else rf"(?<!\w){key}(?!\w)")


def _form(text: str) -> str:
    """The text with each digit as 9 and each letter as a, but for the contract's names."""
    return _WORD.sub(
        lambda word: word[0] if word[0] in NAMES else _LETTER.sub("a", _DIGIT.sub("9", word[0])),
        text,
    )


def _parsed_object(text: str) -> dict[str, Any] | None:
    """The JSON object that a text is; None where it is none, or nested deeper than can be read."""
    try:
        value = orjson.loads(text) if text.lstrip()[:1] == "{" else None
    except orjson.JSONDecodeError:
        return None
    return value if isinstance(value, dict) else None


def _is_json(text: str) -> bool:
    """Whether a text holds fields of its own, which nobody allowed."""
    try:
        return text.lstrip()[:1] in {"{", "["} and bool(orjson.loads(text))
    except orjson.JSONDecodeError:
        return False
