"""One Ray Serve deployment per kind of model, and the types that cross their process boundaries."""
