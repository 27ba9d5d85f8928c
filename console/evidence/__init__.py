"""The evidence pack: what a customer's IT wants to know about their connection, as a page and as a PDF."""
