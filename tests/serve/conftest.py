"""Fixtures of a real pipeline, for all that speaks to one through the application."""

from tests.serve.painter import serve_painter as serve_painter
from tests.serve.painter import weights as weights
