"""A plain client of raw TCP and UDP services: asks, and says when an answer is over."""
