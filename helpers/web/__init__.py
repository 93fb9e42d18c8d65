"""Pages for people: one file each, nothing fetched from anywhere when it is looked at."""
