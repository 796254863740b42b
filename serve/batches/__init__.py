"""OpenAI's files and batches: requests kept on disk, rendered when there is room for them."""
