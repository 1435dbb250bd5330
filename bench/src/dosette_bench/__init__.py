"""Measures Dosette against its promises, over HTTP and as processes, and says honestly what holds."""
