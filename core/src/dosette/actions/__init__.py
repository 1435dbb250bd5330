"""What Dosette does: one function, one message to PostgreSQL, one commit. The api and the scheduler share them."""
