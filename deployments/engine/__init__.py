"""A scheduler of denoising steps: many requests, one denoiser, a deadline each.

`planning` decides, `costs` predicts, `desk` keeps the books, `engine` runs it all on threads, `simulation`
runs the same in virtual time. Knows nothing of Ray, HTTP or diffusers.
"""
