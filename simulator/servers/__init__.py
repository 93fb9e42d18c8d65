"""The venues' surfaces on loopback: HTTP and WebSocket around the pure engine; no market rules."""
