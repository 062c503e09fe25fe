"""`[accounts.mapping]`: the account table and the catalogue by other names, or by queries."""

from typing import Self

from pydantic import BaseModel, ConfigDict, field_validator, model_validator


class TableMapping(BaseModel):
    """Where the rows of one table of the contract come from: another table, or a query.

    table: its name, with its schema before a dot where it has one.
    columns: the source's column of a column of the contract; one that is not named is read under
        its own name where the source has it, and is null where it does not.
    query: SQL that returns the contract's columns, by name; instead of the two above.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    table: str | None = None
    columns: tuple[tuple[str, str], ...] = ()
    query: str | None = None

    @field_validator("columns", mode="before")
    @classmethod
    def _pairs(cls, given: object) -> object:
        return tuple(given.items()) if isinstance(given, dict) else given

    @model_validator(mode="after")
    def _table_or_query(self) -> Self:
        if self.query is not None and (self.table or self.columns):
            raise ValueError("name a table with its columns, or a query, not both")
        return self


class AccountMapping(BaseModel):
    """The tables of the contract that a source has in another form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    users: TableMapping | None = None
    artists: TableMapping | None = None
    tracks: TableMapping | None = None

    def of(self, table: str) -> TableMapping | None:
        """The mapping of a table of the contract by its name."""
        found: TableMapping | None = getattr(self, table)
        return found
