"""Networks that work on tiles of an image: cutting and joining, one memory budget, requests taking turns."""
