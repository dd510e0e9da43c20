"""Cannot be imported."""

raise ZeroDivisionError("while it is imported")
