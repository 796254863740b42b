"""Sources of configuration that tell of changes while the application runs."""
