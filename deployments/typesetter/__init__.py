"""Sets text as vector graphics, and words over the pictures of other models."""
