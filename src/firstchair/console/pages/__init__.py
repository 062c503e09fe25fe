"""One module a page: it reads tables and the ledger and gives back what the page says, as frozen values."""
