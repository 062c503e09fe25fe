"""Commands of the tokens: make one, list them, revoke one; running services follow at once."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from firstchair.access.scopes import Scope
from firstchair.cli.app import AsJson, app
from firstchair.cli.output import show, table

if TYPE_CHECKING:
    from firstchair.settings import Settings

tokens = typer.Typer(
    no_args_is_help=True, help="Tokens beside api_token: several at a time, each with scopes."
)
app.add_typer(tokens, name="token")

Name = Annotated[str, typer.Argument(help="Name of the token, such as that of its holder.")]


@tokens.command()
def add(
    name: Name,
    scope: Annotated[
        list[Scope], typer.Option(help="What it may do; may be repeated. operate includes read.")
    ],
    days: Annotated[
        int | None, typer.Option(min=1, max=3650, help="Days it holds; by default until revoked.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it once; only its digest is kept."""
    from firstchair.access.tokens import add_token
    from firstchair.settings import load_settings

    settings = load_settings()
    ends_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
    token = add_token(settings.tokens, name=name, scopes=scope, ends_at=ends_at)
    _noted(settings, "add token", f"{name}: {', '.join(scope)}")
    document = {"name": name, "token": token, "scopes": sorted(scope), "ends_at": ends_at}
    show(document, as_json=as_json, screen=lambda: [token])


@tokens.command("list")
def list_tokens(as_json: AsJson = False) -> None:
    """Show name, scopes and last day of each token."""
    from firstchair.access.tokens import read_tokens
    from firstchair.settings import load_settings

    grants = read_tokens(load_settings().tokens)
    found = [{"name": g.name, "scopes": sorted(g.scopes), "ends_at": g.ends_at} for g in grants]
    cells = [[g.name, ", ".join(sorted(g.scopes)), g.ends_at] for g in grants]
    screen = table("Tokens", ("name", "scopes", "holds until"), cells)
    show(found, as_json=as_json, screen=lambda: [screen])


@tokens.command()
def revoke(name: Name, as_json: AsJson = False) -> None:
    """Revoke a token; running services refuse it within a second and end its sessions."""
    from firstchair.access.tokens import revoke_token
    from firstchair.settings import load_settings

    settings = load_settings()
    revoke_token(settings.tokens, name=name)
    _noted(settings, "revoke token", name)
    show({"revoked": name}, as_json=as_json, screen=lambda: [f"{name} is revoked."])


def _noted(settings: "Settings", deed: str, about: str) -> None:
    import getpass

    from firstchair.access.audit import AuditLog

    audit = AuditLog.at(settings.home)
    audit.note(deed, by=getpass.getuser(), address="", outcome="done", about=about)
