"""What people's calendars allow."""
