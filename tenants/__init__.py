"""Who the customer is and how we may ask Microsoft."""
