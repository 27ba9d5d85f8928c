"""Reading ahead: a whole roster is read before people look for times, so that their searches cost no call."""
