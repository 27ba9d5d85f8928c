"""Roster pre-flight: before a customer goes live, which of these calendars can be read, and why not the others?"""
