"""Live trading around the CLOB client: our orders, what the venue holds, comparison of both."""
