"""From an audit's results to a routing policy: what is recommended, and the text that says so."""
