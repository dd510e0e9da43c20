"""Our own ACME server (RFC 8555): who asks, what they may have, and what they get. It does no I/O but for its records."""
