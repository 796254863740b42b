"""Removes the marks of compression, resampling and generators from interface art."""
