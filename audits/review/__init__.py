"""People judge pictures blind, side by side: which pairs, the local page, and the file their words end in."""
