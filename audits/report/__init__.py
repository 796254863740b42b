"""An audit to look at: one self-contained HTML page that needs no network, and the same numbers as JSON."""
