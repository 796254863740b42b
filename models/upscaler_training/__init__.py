"""Training of the embedded upscaler and denoiser: pictures, degradations, networks, evaluation, export.

Every step is a module run as `python -m models.upscaler_training.<step>`: `train_upscaler`, then
`export_upscaler`; `train_denoiser`, then `export_denoiser`.
"""
