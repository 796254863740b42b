"""One module per endpoint group: parse, call, respond."""
