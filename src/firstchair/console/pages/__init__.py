"""One module per page: it reads tables and the ledger and returns the page's values, frozen."""
