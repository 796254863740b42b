"""The policy engine: which model, in which order, inside which budget.

Pure Python: no Ray, no torch, no HTTP.
"""
