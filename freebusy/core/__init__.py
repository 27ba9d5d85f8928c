"""Pure: intervals, schedules, rules, slots. No Django, no clock, no network."""
