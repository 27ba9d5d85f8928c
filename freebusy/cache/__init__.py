"""What calendars said a moment ago, so that Microsoft is asked once for what many want to know (docs/adr/0011)."""
