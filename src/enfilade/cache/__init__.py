"""The cache (RFC 9111), in front of any handler: `decide` says what may be done, stores hold the answers."""
