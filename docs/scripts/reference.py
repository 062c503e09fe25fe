"""Writes docs/reference/*.md from the code: `make reference`.

Each page says what the code has: nothing is written by hand but the first sentences of a page.
"""

import ast
import inspect
import re
import tokenize
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import Mock

import typer
from pydantic import BaseModel, SecretStr

FOLDER = Path(__file__).parents[1] / "reference"
SOURCES = Path(__file__).parents[2] / "src" / "firstchair"
NOTE = "<!-- Written by `make reference` from the code; do not edit. -->\n"


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines) + "\n"


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def code(value: object) -> str:
    """The value as code; nothing where it is empty."""
    return f"`{value}`" if value not in {"", None} else ""


def settings() -> str:
    """The page of all settings."""
    from firstchair.settings import Settings

    rows = []
    for name, field in Settings.model_fields.items():
        default = field.default
        if isinstance(default, SecretStr):
            default = default.get_secret_value()
        elif isinstance(default, BaseModel):
            default = ""
        limits = [
            f"{sign} {getattr(limit, attribute)}"
            for limit in field.metadata
            for attribute, sign in (("ge", "≥"), ("gt", ">"), ("le", "≤"), ("lt", "<"))
            if hasattr(limit, attribute)
        ]
        kind = re.sub(r"[a-z_]+\.", "", inspect.formatannotation(field.annotation))
        rows.append(
            (code(name), code(default), code(kind), ", ".join(limits), field.description or "")
        )
    return (
        "# Settings\n\n"
        "From `firstchair.toml` in the working directory, or from the environment as `FIRSTCHAIR_` "
        "and the key in capitals, which wins. [Operating](../operating.md#settings) says what "
        "follows from each.\n\n" + table(("key", "default", "type", "range", "meaning"), rows)
    )


def commands() -> str:
    """The page of all commands."""
    from firstchair.cli import app

    group: Any = typer.main.get_command(app)
    parts = [
        "# Commands\n\n"
        "Exit codes: 0 done; 1 a fault, in two lines on standard error, or a check that fails; "
        "2 bad usage. With `--json` standard output is one JSON document.\n"
    ]
    for name, command in _commands(group):
        rows = [
            (code(_usage(parameter)), _shown_default(parameter), getattr(parameter, "help", ""))
            for parameter in command.params
            if parameter.name != "help"
        ]
        parts.append(f"## firstchair {name}\n\n{command.help}\n")
        if rows:
            parts.append(table(("option", "default", "meaning"), rows))
    return "\n".join(parts)


def _commands(group: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Name and object of each command, those of a group after it."""
    for name, command in sorted(group.commands.items()):
        yield f"{before}{name}", command
        if hasattr(command, "commands"):
            yield from _commands(command, f"{before}{name} ")


def _usage(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return str(parameter.name).upper()
    return " ".join(parameter.opts)


def _shown_default(parameter: Any) -> str:
    if parameter.required:
        return "required"
    if getattr(parameter, "is_flag", False) or parameter.default is None:
        return ""
    default = getattr(parameter.default, "value", parameter.default)
    return code(f"{default:%Y-%m-%d}" if hasattr(default, "strftime") else default)


def api() -> str:
    """The page of the HTTP interface: routes, problem codes and the console's pages."""
    from firstchair.console.routes import console

    document = _openapi()
    rows = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            answers = [
                f"{status} {'' if status[0] == '2' else answer['description']}".strip()
                for status, answer in operation["responses"].items()
            ]
            token = "yes" if operation.get("security") else "no"
            named = [
                f"{p['name']} in {p['in']}, {_range(p['schema'])}"
                for p in operation.get("parameters", ())
            ]
            call = code(f"{method.upper()} {path}")
            rows.append((call, operation["summary"], token, "; ".join(named), "; ".join(answers)))
    pages: dict[str, set[str]] = {}
    for path, methods in _routes(console(Mock(), sessions=Mock(), audit=Mock())):
        pages.setdefault(path, set()).update(methods)
    return "\n".join(
        (
            "# HTTP API\n",
            "Served by `python -m firstchair.http.server` at `api_host` and `api_port`; the token "
            "is sent as `Authorization: Bearer`. [Operating](../operating.md#the-api) says how it "
            "keeps what it accepts. `/openapi.json` is the same as a document for machines.\n",
            table(("call", "what it answers", "token", "parameters", "status"), rows),
            "## Problem codes\n",
            "A refusal is a problem document (RFC 9457) whose `type` is `urn:firstchair:` and the "
            "code. A fault of the platform behind the interface has the code of its error "
            "([codes](codes.md#errors)) and status 503, or 404 and "
            "409 for a version that is unknown and a decision that the present state rules out.\n",
            table(("code", "status", "title"), _problems()),
            "## Pages of the console\n",
            "They need a session of the console, or the token.\n",
            table(
                ("address", "methods"),
                [(code(path), ", ".join(sorted(pages[path]))) for path in sorted(pages)],
            ),
        )
    )


def _routes(router: Any) -> Iterator[tuple[str, set[str]]]:
    """Path and methods of each route; FastAPI keeps a router that was included as one route."""
    for route in router.routes:
        if hasattr(route, "original_router"):
            yield from _routes(route.original_router)
        else:
            yield route.path, route.methods


def _openapi() -> dict[str, Any]:
    from firstchair.http.routes import routes

    # Routes look at no more of a worker than whether it has a console, before the first request.
    return routes(Mock(config=Mock(console=None))).openapi()


def _range(schema: dict[str, Any]) -> str:
    default = f", default {schema['default']}" if "default" in schema else ""
    # A parameter that may be left out has the type null beside its own.
    own = next((one for one in schema.get("anyOf", ()) if one["type"] != "null"), schema)
    return f"{own.get('type', 'any')}{default}"


def _problems() -> list[tuple[str, str, str]]:
    """Code, status and title of each refusal that the interface's code writes down."""
    found: dict[tuple[str, int], tuple[str, str, str]] = {}
    for path in sorted((SOURCES / "http").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            parts = getattr(node, "args" if isinstance(node, ast.Call) else "elts", ())
            if not isinstance(parts, list) or len(parts) < 3:
                continue
            status, name = (getattr(part, "value", None) for part in parts[:2])
            if isinstance(status, int) and 400 <= status < 600 and isinstance(name, str):
                found.setdefault((name, status), (code(name), str(status), _text(parts[2], path)))
    return [found[key] for key in sorted(found)]


def _text(node: ast.expr, path: Path) -> str:
    """A title as the source has it, each inserted value as an ellipsis."""
    if isinstance(node, ast.Name):
        assigned = [
            item.value
            for item in ast.walk(ast.parse(path.read_text()))
            if isinstance(item, ast.Assign) and getattr(item.targets[0], "id", "") == node.id
        ]
        above = [value for value in assigned if value.lineno < node.lineno] or assigned
        return _text(max(above, key=lambda value: value.lineno), path)
    if isinstance(node, ast.JoinedStr):
        return "".join(
            str(getattr(part, "value", "…")) if isinstance(part, ast.Constant) else "…"
            for part in node.values
        )
    return str(getattr(node, "value", "…"))


def tables() -> str:
    """The page of all Delta tables and of the tables in Postgres."""
    from firstchair.access.sessions import SESSIONS
    from firstchair.lake import tables as lake
    from firstchair.platform.work import metadata as journal
    from firstchair.promotion.ledger import metadata as ledger

    above, beside = _comments(lake)
    parts = [
        "# Tables\n\n"
        "Delta tables under `lake_url`. A build replaces the partitions of the days it builds; a "
        "table without a partition column is replaced whole or appended to. `user_key` is the "
        "pseudonym of a user.\n"
    ]
    names = {id(value): name for name, value in vars(lake).items()}
    for found in lake.ALL_TABLES:
        name = names.get(id(found), "")
        by = f" Partitioned by `{found.partition_by}`." if found.partition_by else ""
        columns = [
            (code(field.name), code(field.type), beside.get((name, field.name), ""))
            for field in found.schema
        ]
        parts += [
            f"## {found.name}\n",
            f"{above.get(name, '')}{by}\n".lstrip(),
            _columns(columns),
        ]
    parts.append("## In Postgres\n\nIn the database of the ledger (`database_url`).\n")
    for metadata in (ledger, journal, SESSIONS.metadata):
        for found in metadata.tables.values():
            columns = [(code(column.name), code(column.type)) for column in found.columns]
            parts += [f"### {found.name}\n", table(("column", "type"), columns)]
    return "\n".join(parts)


def _columns(columns: Sequence[tuple[str, str, str]]) -> str:
    """Columns of a table; without the place for a meaning where none has one."""
    if any(meaning for _, _, meaning in columns):
        return table(("column", "type", "meaning"), columns)
    return table(("column", "type"), [column[:2] for column in columns])


def _comments(module: ModuleType) -> tuple[dict[str, str], dict[tuple[str, str], str]]:
    """Comments above each assignment, and beside each keyword argument of it, by its name."""
    path = Path(inspect.getfile(module))
    lines = path.read_text().splitlines()
    with path.open("rb") as source:
        notes = {
            token.start[0]: token.string.lstrip("# ")
            for token in tokenize.tokenize(source.readline)
            if token.type == tokenize.COMMENT
        }
    above, beside = {}, {}
    for node in ast.parse(path.read_text()).body:
        if not isinstance(node, ast.Assign) or not isinstance(node.targets[0], ast.Name):
            continue
        name, row, found = node.targets[0].id, node.lineno - 1, []
        while row in notes and lines[row - 1].startswith("#"):
            found.insert(0, notes[row])
            row -= 1
        above[name] = " ".join(found)
        if isinstance(node.value, ast.Call):
            for keyword in node.value.keywords:
                if keyword.value.end_lineno in notes:
                    beside[name, str(keyword.arg)] = notes[keyword.value.end_lineno]
    return above, beside


def codes() -> str:
    """The page of the stable codes: of decisions, refused records and errors."""
    from firstchair import errors
    from firstchair.events import Reason as Refusal
    from firstchair.promotion.reasons import Reason

    meanings = _rows_of("gate.md", "## Reason codes")
    refusals = _rows_of("operating.md", "### Reasons of a refusal")
    return "\n".join(
        (
            "# Codes\n",
            "These never change their meaning: ledgers, quarantine and other programs hold them.\n",
            "## Reasons of a decision\n",
            "In `reason_codes` of a decision. [The gate](../gate.md#reason-codes) says more.\n",
            table(
                ("code", "when"), [(code(reason), meanings.get(reason, "")) for reason in Reason]
            ),
            "## Reasons of a refused record\n",
            "In `reason` of `quarantine/events` and in the answer to `POST /v1/events`.\n",
            table(("code", "the record"), [(code(why), refusals.get(why, "")) for why in Refusal]),
            "## Errors\n",
            "In the first line that a command prints when it ends with code 1.\n",
            table(
                ("code", "meaning"),
                [(code(error.code), inspect.getdoc(error) or "") for error in _errors(errors)],
            ),
        )
    )


def _rows_of(document: str, heading: str) -> dict[str, str]:
    """Meaning by code of the table under a heading of a document."""
    text = (FOLDER.parent / document).read_text().split(f"{heading}\n")[1].split("\n#")[0]
    rows = [
        line.strip("| ").split(" | ", 1) for line in text.splitlines() if line.startswith("| `")
    ]
    return {
        name: meaning.strip() for names, meaning in rows for name in re.findall(r"`(\w+)`", names)
    }


def _errors(module: ModuleType) -> Iterator[Any]:
    yield from (
        found
        for found in vars(module).values()
        if isinstance(found, type) and found.__module__ == module.__name__
    )


def metrics() -> str:
    """The page of what Prometheus scrapes."""
    from prometheus_client.parser import text_string_to_metric_families

    from firstchair.http.metrics import exposition
    from firstchair.login.logins import Counts

    text = exposition(Counts({("role", ""): 1}), worker="worker", served="version").decode()
    rows = []
    for family in text_string_to_metric_families(text):
        names = sorted({sample.name for sample in family.samples} - {f"{family.name}_created"})
        labels = sorted({label for sample in family.samples for label in sample.labels})
        shown = ", ".join(map(code, names))
        rows.append((shown, family.type, ", ".join(map(code, labels)), family.documentation))
    return (
        "# Metrics\n\nPrometheus text at `GET /metrics` of each worker of the API, without a "
        "token. Another worker may answer the next request, so each series names its worker.\n\n"
        + table(("series", "type", "labels", "meaning"), rows)
    )


def alerts() -> str:
    """The page of all alerts."""
    from firstchair.platform.alert_guides import GUIDES

    rows = [
        (code(name), guide.cause, guide.remedy, code(f"/{guide.page}"))
        for name, guide in sorted(GUIDES.items())
    ]
    return (
        "# Alerts\n\n[Monitoring](../monitoring.md#alerts) says when each is raised and how a "
        "webhook is signed.\n\n"
        + table(("code", "likely cause", "what to do", "page of the console"), rows)
    )


def assets() -> str:
    """The page of what Dagster runs."""
    from dagster_project.definitions import defs

    told = _docstrings("sensors.py") | _docstrings("schedules.py")
    definitions = defs()
    graph = definitions.resolve_asset_graph()
    specs = sorted(
        (graph.get(key) for key in graph.get_all_asset_keys()),
        key=lambda node: (node.group_name, node.key),
    )
    rows = [
        (
            code(node.key.to_user_string()),
            node.group_name,
            ", ".join(code(parent.to_user_string()) for parent in sorted(node.parent_keys)),
            "daily" if node.is_partitioned else "none",
            node.description or "",
        )
        for node in specs
    ]
    checks = [
        (
            code(key.name),
            code(key.asset_key.to_user_string()),
            "yes" if graph.get(key).blocking else "no",
            graph.get(key).description or "",
        )
        for key in sorted(graph.asset_check_keys)
    ]
    jobs = [(code(job.name), job.description or "") for job in definitions.jobs or ()]
    sensors = [
        (
            code(sensor.name),
            f"every {sensor.minimum_interval_seconds} s",
            ", ".join(code(target.job_name) for target in sensor.targets),
            _first_line(told[sensor.name]),
        )
        for sensor in definitions.sensors or ()
    ]
    schedules = [
        (
            code(schedule.name),
            code(schedule.cron_schedule),
            code(schedule.job_name),  # type: ignore[union-attr]
            _first_line(told[f"{schedule.name}_schedule"]),
        )
        for schedule in definitions.schedules or ()
    ]
    return "\n".join(
        (
            "# Assets, jobs and sensors\n",
            "What stands in the one code location `dagster_project`. All times are UTC.\n",
            "## Assets\n",
            table(("asset", "group", "made from", "partitions", "what it is"), rows),
            "## Checks\n",
            "Where a blocking check fails, nothing that depends on its asset is built.\n",
            table(("check", "asset", "blocks", "what must hold"), checks),
            "## Jobs\n",
            table(("job", "what it runs"), jobs),
            "## Schedule\n",
            table(("schedule", "cron", "job", "what it does"), schedules),
            "## Sensors\n",
            "A sensor reads state from tables, so one that misses a tick, or gets it twice, comes "
            "to the same result.\n",
            table(("sensor", "looks", "starts", "what it does"), sensors),
        )
    )


def _docstrings(module: str) -> dict[str, str]:
    """Docstrings of the functions of a module of `dagster_project`, by name."""
    tree = ast.parse((SOURCES.parents[1] / "dagster_project" / module).read_text())
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef))
    return {function.name: ast.get_docstring(function) or "" for function in functions}


def _first_line(docstring: str) -> str:
    return docstring.partition("\n\n")[0]


PAGES: dict[str, Callable[[], str]] = {
    page.__name__: page
    for page in (commands, settings, api, tables, codes, metrics, alerts, assets)
}


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(exist_ok=True)
    for name, page in PAGES.items():
        (FOLDER / f"{name}.md").write_text(NOTE + page())


if __name__ == "__main__":
    main()
