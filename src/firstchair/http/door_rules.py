"""What a request to Dagster or MLflow asks for: to read, to write, or what nobody may.

Neither of them has a sign-in. Dagster takes commands (GraphQL mutations) by GET and from any
origin; so the kind of a request is judged by what it says and not by its method alone. What cannot
be read counts as writing.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import parse_qs

# Wherever it stands in a path: a spelling that only the service behind understands is judged too.
GRAPHQL = "graphql"
READ_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
# GraphQL documents of Dagster's pages have a few thousand tokens; a parser needs memory for each.
MOST_TOKENS = 50_000
# Searches of MLflow's pages, which are posted although they only read.
MLFLOW_SEARCHES = re.compile(r"/(ajax-)?api/\d\.\d/mlflow/[a-z-]+/search")


class Ask(Enum):
    """What a request asks for."""

    READ = "read"
    WRITE = "write"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as far as the rules look at it; `path` as the service behind decodes it."""

    method: str
    path: str
    query: str = ""
    content_type: str = ""
    body: bytes = b""


Rule = Callable[[Asked], Ask]


def dagster_rule(asked: Asked) -> Ask:
    """What a request asks of Dagster's webserver; no mutation comes by GET."""
    if GRAPHQL in asked.path.lower():
        return _graphql(asked)
    return Ask.READ if asked.method in READ_METHODS else Ask.WRITE


def mlflow_rule(asked: Asked) -> Ask:
    """What a request asks of MLflow's server."""
    if GRAPHQL in asked.path.lower():
        return _graphql(asked)
    is_search = asked.method == "POST" and MLFLOW_SEARCHES.fullmatch(asked.path) is not None
    return Ask.READ if is_search or asked.method in READ_METHODS else Ask.WRITE


def _graphql(asked: Asked) -> Ask:
    in_address = parse_qs(asked.query, keep_blank_values=True).get("query", [])
    if asked.method in READ_METHODS:
        return Ask.READ if all(map(_only_reads, in_address)) else Ask.REFUSED
    kind = asked.content_type.partition(";")[0].strip().lower()
    if asked.method != "POST" or kind != "application/json" or in_address:
        return Ask.REFUSED
    try:
        document = json.loads(asked.body)
    except (ValueError, RecursionError):
        return Ask.REFUSED
    if not isinstance(document, dict) or not isinstance(document.get("query"), str):
        return Ask.REFUSED
    return Ask.READ if _only_reads(document["query"]) else Ask.WRITE


def _only_reads(text: str) -> bool:
    """Whether every operation of a GraphQL document is a query."""
    from graphql import GraphQLError, OperationDefinitionNode, OperationType, parse

    try:
        found = parse(text, no_location=True, max_tokens=MOST_TOKENS).definitions
    except (GraphQLError, RecursionError):
        return False
    operations = [node for node in found if isinstance(node, OperationDefinitionNode)]
    return all(node.operation is OperationType.QUERY for node in operations)
