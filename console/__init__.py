"""Cadence Admin's own pages: what support looks at, and what it may do."""
