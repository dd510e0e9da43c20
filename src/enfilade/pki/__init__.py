"""The authority of our own: certificates that it makes, where it is kept, who trusts it."""
