"""What Dosette decides: plain functions on values, `now` among them. No file, socket, environment or clock is read here."""
