"""The HTTP API: checks what comes in, asks PostgreSQL in one message, passes its JSON on as it is."""
