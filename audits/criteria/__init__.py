"""What can be asked of a picture: one function each, from what came to a number (docs/audits.md)."""
