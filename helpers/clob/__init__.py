"""The live CLOB V2 client: signatures, requests, answers; no order state of its own."""
