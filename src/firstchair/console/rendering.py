"""Rendering of pages to HTML: the environment of templates and its filters for values."""

import base64
import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from firstchair.console.charts import Form, forest_svg, line_svg, told
from firstchair.console.pages.audition import metric_name
from firstchair.promotion import check_words, family_title, model_title

HERE = Path(__file__).parent
PAGES = (
    ("/", "Now"),
    ("/audition", "Audition"),
    ("/engagement", "Engagement"),
    ("/drift", "Drift"),
    ("/decisions", "Decisions"),
    ("/quality", "Data quality"),
    ("/listener", "Listener"),
    ("/lineage", "Lineage"),
)


def rendered(template: str, context: Mapping[str, Any], status_code: int = 200) -> HTMLResponse:
    """A page that loads no other resource, is not cached, and cannot be framed by another site."""
    body = _environment().get_template(template).render(context)
    return HTMLResponse(body, status_code, headers=_headers())


def report_headers() -> dict[str, str]:
    """Headers for a page made by a library: its scripts run in a sandbox without network access."""
    policy = (
        "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' "
        "data: blob:; style-src 'unsafe-inline' data:; img-src data: blob:; font-src data:; "
        "frame-ancestors 'self'"
    )
    return _plain_headers() | {
        "content-security-policy": policy,
        "x-frame-options": "SAMEORIGIN",
    }


@cache
def _headers() -> dict[str, str]:
    policy = (
        f"default-src 'none'; style-src 'sha256-{_digest(_static('console.css'))}'; "
        f"script-src 'sha256-{_digest(_static('console.js'))}'; img-src data:; frame-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return _plain_headers() | {
        "content-security-policy": policy,
        "cross-origin-opener-policy": "same-origin",
        "x-frame-options": "DENY",
    }


def _plain_headers() -> dict[str, str]:
    return {
        "cache-control": "no-store",
        "cross-origin-resource-policy": "same-origin",
        "permissions-policy": "camera=(), geolocation=(), microphone=()",
        "referrer-policy": "no-referrer",
        "x-content-type-options": "nosniff",
    }


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


@cache
def _static(name: str) -> str:
    return (HERE / "static" / name).read_text()


@cache
def _environment() -> Environment:
    found = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    found.globals.update(
        line_svg=line_svg,
        forest_svg=forest_svg,
        pages=PAGES,
        style=_static("console.css"),
        script=_static("console.js"),
    )
    found.filters.update(
        told=told,
        share=lambda value, digits=2: told(value, Form.SHARE, digits=digits),
        change=lambda value, digits=1: told(value, Form.CHANGE, digits=digits),
        number=lambda value, digits=2: told(value, Form.NUMBER, digits=digits),
        count=lambda value: "–" if value is None else f"{value:,}",
        instant=_instant,
        day=_day,
        words=lambda value: str(value).replace("_", " "),
        metric=metric_name,
        check_words=check_words,
        commands=_commands,
        of_version=lambda address, number: address.replace("?", f"/versions/{number}?", 1),
        own_path=lambda address: urlsplit(address).path or "/",
        family=family_title,
        model=lambda version, families: model_title(version, families.get(version)),
        brief=lambda value, length=12: "–" if value is None else str(value)[:length],
    )
    return found


def _commands(text: str) -> Markup:
    """A text as HTML, with the words between backticks as code."""
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text)))


def _instant(value: datetime | None) -> str:
    return "–" if value is None else f"{value.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _day(value: date | None) -> str:
    return "–" if value is None else f"{value.day} {value:%b %Y}"
