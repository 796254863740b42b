"""Models that somebody else runs: one replica, many calls over HTTPS, no GPU."""
