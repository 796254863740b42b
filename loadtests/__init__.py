"""Open-loop load generation against a running endpoint, and what it measured."""
