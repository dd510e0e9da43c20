"""What servers have in common in a Redis or Valkey. It needs redis-py, which is an extra."""
