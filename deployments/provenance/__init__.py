"""Where a picture comes from, written into its file: its receipt, and IPTC's digital source type.

Parts are put between those of an encoded file; nothing is encoded again, so no pixel changes. Knows nothing
of what a receipt says.
"""
