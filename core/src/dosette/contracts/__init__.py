"""Names, versions and JSON of everything that goes over Redis; both ends import it, so that they can't disagree."""
