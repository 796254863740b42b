"""Training of the embedded default model: data, networks, evaluation, export.

Every step is a module run as `python -m models.training.<step>`; `models/README.md` lists them in order.
"""
