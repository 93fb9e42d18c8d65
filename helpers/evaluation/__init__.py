"""What strategies earned per window, with how sure one may be of it: pure arithmetic, no I/O."""
