"""Switch latency, side by side: one resident supernet against the ways of others."""
