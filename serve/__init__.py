"""The HTTP application on Ray Serve: parses requests, asks `routing` for a decision, calls `deployments`."""
