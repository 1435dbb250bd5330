"""Backups: made, encrypted, restored for trial, kept, and restored in earnest."""
