"""One module per asset group; every asset is a shell over one function of the domain."""
