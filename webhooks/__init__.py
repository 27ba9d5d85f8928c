"""Events for other systems, signed, retried and kept in a log."""
