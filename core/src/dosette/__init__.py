"""What Dosette's services share: rules (domain), names on Redis (contracts), SQL (storage), transactions (actions)."""

__version__ = "0.1.0"
