"""Sans-I/O parsers: frames in, typed events out; they open no socket and read no clock."""
