"""Exchanges that speak the venues' protocols on loopback; the worker never imports them."""
