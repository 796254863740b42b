"""Results to look at: charts, and one self-contained HTML page that needs no network."""
