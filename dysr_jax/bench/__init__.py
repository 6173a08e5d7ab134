"""What `dysr bench` and `dysr profile` measure: ratios, rates, scaling, the latency table."""
