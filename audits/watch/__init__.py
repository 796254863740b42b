"""The same audit again: what became worse since the one that was accepted, and who hears of it."""
