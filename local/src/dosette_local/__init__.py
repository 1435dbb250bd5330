"""The whole household on one machine, without Docker: it starts the services as processes and imports none of them."""
