"""Migrations of the journal, in the ledger's database but with a version of their own."""
