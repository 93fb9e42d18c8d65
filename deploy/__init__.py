"""What an image is made of: the Dockerfile's reader, its rules, and a rehearsal without Docker."""
