"""What PNG, JPEG and WebP containers say of the picture in them, read without decoding it.

Size, depth, frames and completeness. A decoder is then given only what it needs: text, profiles and other
metadata, in which bombs hide, are left out. Knows nothing of pixels.
"""
