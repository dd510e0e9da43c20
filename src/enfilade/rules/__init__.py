"""Rules on requests: what is known to be an attack is refused before anybody has work with it."""
