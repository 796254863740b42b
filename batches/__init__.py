"""Renders a file of items through an endpoint: `atelier batch`. Speaks HTTP only."""
