"""Certificates from authorities that speak ACME (RFC 8555): ordered, proven, renewed, and shared by all workers and edges."""
