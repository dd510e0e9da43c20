"""The benchmark: `python -m bench` compares Enfilade with other servers on the machine at hand (docs/performance.md)."""
