"""Enlarges images tile by tile, inside a memory budget."""
