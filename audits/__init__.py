"""Audits of models per asset type. Speaks HTTP to an endpoint; knows nothing of how it is served."""
